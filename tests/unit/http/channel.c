/* SPDX-License-Identifier: MIT */
/* Connections to servers that do what servers do, and to those that do what they should not. */
#include "client_fixture.h"

static void codings(void **state)
{
	(void)state;
	struct fixture f;
	struct result r;
	START(&f,
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: "
		 "chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"},
		{"HTTP/1.1 206 x\r\nTransfer-Encoding: chunked\r\nContent-Range: bytes "
		 "0-1/9\r\n\r\n"
		 "2\r\nab\r\n0\r\n\r\n"},
		{"HTTP/1.1 206 x\r\nTransfer-Encoding: chunked\r\nContent-Range: bytes "
		 "0-1/9\r\n\r\n"
		 "3\r\nabc\r\n0\r\n\r\n"},
		{"HTTP/1.1 206 x\r\nTransfer-Encoding: chunked\r\nContent-Range: bytes "
		 "0-1/9\r\n\r\n"
		 "1\r\na\r\n0\r\n\r\n"},
		{"HTTP/1.0 200 OK\r\n\r\nuntil the end", THEN_CLOSE});
	get(&f, &r, "/", 0, 0);
	body_is(&r, "abcd");
	get(&f, &r, "/", 0, 2);
	body_is(&r, "ab");
	assert_int_equal(f.script.connections, 1);
	get(&f, &r, "/", 0, 2);
	failed(&r, ERR_CORRUPT, "more than the 2 bytes of the range came");
	get(&f, &r, "/", 0, 2);
	failed(&r, ERR_AGAIN, "the server closed the connection after 1 of 2 bytes");
	get(&f, &r, "/", 0, 0);
	assert_true(r.answer.len == UINT64_MAX);
	body_is(&r, "until the end");
	stop(&f);
}

/* One connection stands still: the other that was kept is not tried, and does not cost as long. */
static void still(void **state)
{
	(void)state;
	static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab";
	struct fixture f;
	struct result first = {0}, second = {0}, r;
	START(&f, {ok}, {ok}, {""}, {ok});
	get_params(&f, &first, (struct http_get_params){.url = "/"});
	get_params(&f, &second, (struct http_get_params){.url = "/"});
	wait_for(&f, &first);
	wait_for(&f, &second);
	body_is(&first, "ab");
	body_is(&second, "ab");
	assert_int_equal(f.script.connections, 2);
	get(&f, &r, "/", 0, 0);
	failed(&r, ERR_AGAIN, "no answer within 300 ms");
	assert_int_equal(f.script.connections, 2);
	get(&f, &r, "/", 0, 0);
	body_is(&r, "ab");
	assert_int_equal(f.script.connections, 3);
	stop(&f);
}

static void misbehaving(void **state)
{
	(void)state;
	static const struct {
		struct line line;
		uint64_t off, len;
		enum err_kind kind;
		const char *msg;
	} cases[] = {
		{{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", THEN_CLOSE}, 0, 0,
			ERR_AGAIN, "the server closed the connection after 5 of 10 bytes"},
		{{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"}, 0, 0, ERR_AGAIN,
			"nothing within 300 ms after 5 bytes"},
		{{"HTTP/1.1 206 x\r\nContent-Range: bytes 4-5/9\r\nContent-Length: 2\r\n\r\nab"}, 3,
			2, ERR_CORRUPT, "the answer has bytes 4 to 5, asked were 2 from 3"},
		{{"\x16\x03\x01garbage\r\n\r\n"}, 0, 0, ERR_CORRUPT,
			"malformed answer: no status line of HTTP"},
		{{"", THEN_CLOSE}, 0, 0, ERR_AGAIN,
			"the server closed the connection before it answered"},
		{{"HTTP/1.1 200 OK\r\nCont", THEN_CLOSE}, 0, 0, ERR_AGAIN,
			"the server closed the connection before it answered"},
		{{""}, 0, 0, ERR_AGAIN, "no answer within 300 ms"},
		{{"HTTP/1.1 200 OK\r\nA: bbbbbbbbbbbbbbb\r\n\r\n", .trickle = true}, 0, 0,
			ERR_AGAIN, "the answer's head did not end within 300 ms"},
		{{"HTTP/1.1 200 OK\r\n", .repeat = 600000}, 0, 0, ERR_LIMIT,
			"the answer's head is larger than 16384 bytes"},
		{{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}, 0, 0, ERR_CORRUPT,
			"malformed chunked coding: no size"},
		{{"HTTP/1.1 100 Continue\r\n\r\n", .repeat = 16}, 0, 0, ERR_LIMIT,
			"more than 16 informational answers before the one that counts"},
		{{"HTTP/1.1 101 Now\r\n\r\n"}, 0, 0, ERR_CORRUPT,
			"the server changed the protocol unasked"},
		{{"HTTP/1.1 302 x\r\nLocation: http://127.0.0.1:%u/\r\nContent-Length: 0\r\n\r\n"},
			0, 0, ERR_LIMIT, "redirected more than 5 times"},
		{{"HTTP/1.1 302 x\r\nLocation: https://a/\r\nContent-Length: 0\r\n\r\n"}, 0, 0,
			ERR_UNSUPPORTED,
			"redirected: 'https://a/' needs https, which is not spoken"},
		{{"HTTP/1.1 302 x\r\nLocation: mailto:a\r\nContent-Length: 0\r\n\r\n"}, 0, 0,
			ERR_CORRUPT,
			"redirected: 'mailto:a' is no URL: it does not begin with 'http://'"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fixture f;
		struct result r;
		start(&f, &cases[i].line, 1);
		get(&f, &r, "/", cases[i].off, cases[i].len);
		failed(&r, cases[i].kind, cases[i].msg);
		stop(&f);
	}
}

static void reset(void **state)
{
	(void)state;
	struct fixture f;
	struct result r;
	START(&f, {"", THEN_RESET});
	get(&f, &r, "/", 0, 0);
	failed(&r, ERR_AGAIN, "the connection broke: Connection reset by peer");
	stop(&f);
}

static void refused(void **state)
{
	(void)state;
	struct fixture f;
	struct result r;
	START(&f, {""});
	evconnlistener_disable(f.script.listener);
	uint16_t port = f.script.port;
	close(evconnlistener_get_fd(f.script.listener));
	get(&f, &r, "/", 0, 0);
	char expected[128];
	snprintf(expected, sizeof(expected),
		"cannot connect to '127.0.0.1' port %u: Connection refused", port);
	failed(&r, ERR_AGAIN, expected);
	stop(&f);
}

static void stale(void **state)
{
	(void)state;
	struct fixture f;
	struct result r;
	/* The second request meets a connection that closes on it, the third serves it. */
	START(&f, {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"}, {"", THEN_CLOSE},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb"}, {"", THEN_CLOSE});
	get(&f, &r, "/", 0, 0);
	body_is(&r, "a");
	get(&f, &r, "/", 0, 0);
	body_is(&r, "b");
	assert_int_equal(f.script.requests, 3);
	assert_int_equal(f.script.connections, 2);
	/* Once, not for ever. */
	get(&f, &r, "/", 0, 0);
	failed(&r, ERR_AGAIN, "the server closed the connection before it answered");
	assert_int_equal(f.script.requests, 5);
	stop(&f);
}

static void unasked(void **state)
{
	(void)state;
	struct fixture f;
	struct result r;
	/* Bytes beyond an answer would be taken for the next: the connection is not kept. */
	START(&f, {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\n\r\n"});
	get(&f, &r, "/", 0, 0);
	body_is(&r, "a");
	get(&f, &r, "/", 0, 0);
	body_is(&r, "a");
	assert_int_equal(f.script.connections, 2);
	stop(&f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codings),
		cmocka_unit_test(still),
		cmocka_unit_test(misbehaving),
		cmocka_unit_test(reset),
		cmocka_unit_test(refused),
		cmocka_unit_test(stale),
		cmocka_unit_test(unasked),
	};
	return TEST_MAIN(tests);
}
