/* SPDX-License-Identifier: MIT */
/* The client's books: requests, places, urgency, names, and what callbacks may do. */
#include "client_fixture.h"

static void plain(void **state)
{
	(void)state;
	struct fixture f;
	struct result r;
	START(&f, {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"e\"\r\n\r\nhello"},
		{"HTTP/1.1 206 x\r\nContent-Range: bytes 3-6/20\r\nContent-Length: 4\r\n\r\nlowo"},
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: "
		 "2\r\n\r\nno"},
		{"HTTP/1.1 304 x\r\nETag: \"e\"\r\n\r\n"});
	get(&f, &r, "/a?b", 0, 0);
	assert_string_equal(r.etag, "\"e\"");
	body_is(&r, "hello");
	char expected[256];
	snprintf(expected, sizeof(expected),
		"GET /a?b HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: snowboot/" SNOWBOOT_VERSION
		"\r\nAccept-Encoding: identity\r\n\r\n",
		f.script.port);
	assert_string_equal(f.script.last, expected);
	get(&f, &r, "/", 3, 4);
	body_is(&r, "lowo");
	assert_int_equal(r.answer.size, 20);
	assert_non_null(strstr(f.script.last, "\r\nRange: bytes=3-6\r\n"));
	get(&f, &r, "/", 7, 0);
	assert_int_equal(r.answer.status, 404);
	body_is(&r, "no");
	assert_non_null(strstr(f.script.last, "\r\nRange: bytes=7-\r\n"));
	r = (struct result){0};
	get_params(&f, &r, (struct http_get_params){.url = "/", .if_none_match = "\"e\""});
	wait_for(&f, &r);
	assert_int_equal(r.answer.status, 304);
	body_is(&r, "");
	assert_non_null(strstr(f.script.last, "\r\nIf-None-Match: \"e\"\r\n"));
	assert_int_equal(f.script.connections, 1);
	stop(&f);
}

static void redirected(void **state)
{
	(void)state;
	struct fixture f;
	struct result r;
	START(&f, {"HTTP/1.1 301 x\r\nLocation: /b/c\r\nContent-Length: 4\r\n\r\ngone"},
		{"HTTP/1.1 307 x\r\nLocation: d\r\nContent-Length: 0\r\n\r\n"},
		{"HTTP/1.1 206 x\r\nContent-Range: bytes 1-2/3\r\nContent-Length: 2\r\n\r\nhi"});
	get(&f, &r, "/a", 1, 2);
	body_is(&r, "hi");
	assert_int_equal(r.heads, 1);
	assert_int_equal(strncmp(f.script.last, "GET /b/d HTTP/1.1\r\n", 19), 0);
	assert_non_null(strstr(f.script.last, "\r\nRange: bytes=1-2\r\n"));
	stop(&f);
}

static void callbacks(void **state)
{
	(void)state;
	struct fixture f;
	struct result r;
	START(&f, {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"});
	r = (struct result){.cancel_in_body = true};
	get_params(&f, &r, (struct http_get_params){.url = "/"});
	wait_for(&f, &r);
	body_is(&r, "abc");
	r = (struct result){.refuse_head = true};
	get_params(&f, &r, (struct http_get_params){.url = "/"});
	wait_for(&f, &r);
	failed(&r, ERR_USAGE, "not what I like");
	r = (struct result){0};
	get_params(&f, &r, (struct http_get_params){.url = "/"});
	http_get_cancel(r.get);
	struct result waiting[5] = {0}; /* more than there are places */
	for (size_t i = 0; i < ARRAY_LEN(waiting); i++)
		get_params(&f, &waiting[i], (struct http_get_params){.url = "/"});
	http_get_cancel(waiting[4].get);
	for (size_t i = 0; i < 4; i++) {
		wait_for(&f, &waiting[i]);
		body_is(&waiting[i], "a");
	}
	turn(&f);
	assert_int_equal(waiting[4].ended + r.ended, 0);
	struct result last[2] = {{.free_in_done = true}, {0}};
	get_params(&f, &last[0], (struct http_get_params){.url = "/"});
	get_params(&f, &last[1], (struct http_get_params){.url = "/"});
	wait_for(&f, &last[0]);
	body_is(&last[0], "a");
	buf_done(&last[1].body);
	stop(&f);
}

static void park(struct http_exchange *x, void *data)
{
	struct fixture *f = data;
	const char *path = http_exchange_request(x)->path;
	size_t len = strlen(f->order);
	f->order[len] = path[strlen(path) - 1];
	f->parked[f->parked_count++] = x;
}

static void own_server(struct fixture *f)
{
	struct err err = ERR_INIT;
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct http_server_config config = {
		.limits = HTTP_LIMITS_DEFAULT, .handle = park, .data = f};
	assert_ok(http_server_new(
		f->base, (struct sockaddr *)&addr, sizeof(addr), &config, &f->server, &err));
}

/* Three places: one is left free for the urgent, who then go before all that wait. */
static void urgency(void **state)
{
	(void)state;
	struct fixture f;
	START(&f, {""});
	f.client = http_client_free(f.client);
	struct http_client_limits limits = HTTP_CLIENT_LIMITS_DEFAULT;
	struct err err = ERR_INIT;
	limits.per_host = 3;
	assert_ok(http_client_new(f.base, &limits, &f.client, &err));
	own_server(&f);
	struct result r[6] = {0};
	static const char *const paths[] = {"/1", "/2", "/3", "/4", "/5", "/6"};
	for (size_t i = 0; i < ARRAY_LEN(r); i++)
		get_params(&f, &r[i], (struct http_get_params){.url = paths[i], .urgent = i >= 4});
	for (int i = 0; i < 200 && f.parked_count < 3; i++)
		turn(&f);
	assert_int_equal(f.parked_count, 3);
	for (unsigned done = 0; done < ARRAY_LEN(r); done++) {
		http_exchange_reply_text(f.parked[done], 200, "to %c", f.order[done]);
		for (int i = 0; i < 200 && r[f.order[done] - '1'].ended == 0; i++)
			turn(&f);
		for (int i = 0; i < 200 && f.parked_count < done + 3 && f.parked_count < 6; i++)
			turn(&f);
	}
	/* 1, 2 and the first urgent one in some order, then the other, then the rest. */
	assert_int_equal(f.parked_count, 6);
	assert_non_null(memchr(f.order, '5', 3));
	assert_string_equal(f.order + 3, "634");
	for (size_t i = 0; i < ARRAY_LEN(r); i++) {
		char expected[8];
		snprintf(expected, sizeof(expected), "to %s\n", paths[i] + 1);
		body_is(&r[i], expected);
	}
	assert_true(r[0].answer.date > 1700000000);
	stop(&f);
}

static void names(void **state)
{
	(void)state;
	struct fixture f;
	struct err err = ERR_INIT;
	START(&f, {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"});
	char url[64];
	struct result r = {.fixture = &f};
	snprintf(url, sizeof(url), "http://localhost:%u/", f.script.port);
	const struct http_get_params params = {.url = url};
	assert_ok(http_client_get(f.client, &params, &ops, &r, &r.get, &err));
	wait_for(&f, &r);
	body_is(&r, "a"); /* from /etc/hosts, whichever of its addresses answers */
	const struct http_get_params bad = {.url = "https://a/"};
	assert_int_equal(http_client_get(f.client, &bad, &ops, &r, &r.get, &err), -1);
	assert_err(&err, ERR_UNSUPPORTED, "'https://a/' needs https, which is not spoken");
	stop(&f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(redirected),
		cmocka_unit_test(callbacks),
		cmocka_unit_test(urgency),
		cmocka_unit_test(names),
	};
	return TEST_MAIN(tests);
}
