/* SPDX-License-Identifier: MIT */
/* A mirror over a real server on loopback that serves objects, and does as told. */
#include "swarm/mirror.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/server.h"
#include "test.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OBJECT_SIZE (600u * 1024)
#define OBJECTS 4
#define IDS 64

struct seen {
	struct buf bytes;
	unsigned ended;
	enum mirror_end how;
	unsigned order; /* of the ends */
};

struct fixture {
	struct event_base *base;
	struct http_server *server;
	struct http_client *client;
	struct mirror *mirror;
	struct digest objects[OBJECTS];
	uint8_t *bytes[OBJECTS];
	uint64_t short_by; /* the server has that much less of each object */
	bool hearsay;      /* a peer named the places */
	int status;        /* answered to everything; 0: what is asked for */
	unsigned requests;
	char ranges[1024]; /* "2:0-99 " for the object and the Range of each request */
	struct seen seen[IDS];
	unsigned ends;
	uint32_t cancel_at, cancel; /* at a part of one, cancel another; 0: not */
	uint32_t free_at;           /* the mirror, at the end of this one */
	char log[4096];
};

static void log_sink(enum log_level level, const char *line, void *data)
{
	(void)level;
	struct fixture *f = data;
	size_t len = strlen(f->log);
	snprintf(f->log + len, sizeof(f->log) - len, "%s\n", line);
}

static void handle(struct http_exchange *x, void *data)
{
	struct fixture *f = data;
	struct err err = ERR_INIT;
	const struct http_request *request = http_exchange_request(x);
	f->requests++;
	if (f->status != 0) {
		http_exchange_reply_text(x, f->status, "as told");
		return;
	}
	for (unsigned i = 0; i < OBJECTS; i++) {
		char path[128], hex[DIGEST_HEX_SIZE];
		digest_hex(&f->objects[i], hex);
		snprintf(path, sizeof(path), "/a/v1/objects/%.2s/%s", hex, hex);
		if (strcmp(request->path, path) != 0)
			continue;
		size_t len = strlen(f->ranges);
		snprintf(f->ranges + len, sizeof(f->ranges) - len, "%u:%s ", i,
			http_request_header(request, "range") + 6);
		struct http_body *body =
			http_body_copy(f->bytes[i], OBJECT_SIZE - f->short_by, NULL, &err);
		assert_non_null(body);
		http_exchange_reply(x, 200, body);
		return;
	}
	http_exchange_reply_text(x, 404, "nothing here");
}

static void on_part(uint32_t id, const void *bytes, uint32_t len, void *data)
{
	struct fixture *f = data;
	struct err err = ERR_INIT;
	assert_true(id < IDS && len > 0);
	assert_int_equal(f->seen[id].ended, 0);
	assert_ok(buf_put(&f->seen[id].bytes, bytes, len, &err));
	if (f->cancel_at == id && f->cancel != 0)
		mirror_cancel(f->mirror, f->cancel);
}

static void on_end(uint32_t id, enum mirror_end how, void *data)
{
	struct fixture *f = data;
	f->seen[id].ended++;
	f->seen[id].how = how;
	f->seen[id].order = ++f->ends;
	if (f->free_at == id && id != 0)
		f->mirror = mirror_free(f->mirror);
}

static const struct mirror_ops ops = {on_part, on_end};

static struct sockaddr_in any_port(void)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void start_at(struct fixture *f, uint16_t port)
{
	struct err err = ERR_INIT;
	char url[64];
	struct http_client_limits limits = HTTP_CLIENT_LIMITS_DEFAULT;
	limits.stall_ms = 300;
	assert_ok(http_client_new(f->base, &limits, &f->client, &err));
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/a/", port);
	assert_ok(mirror_new(f->base, f->client, url, &ops, f, &f->mirror, &err));
}

static int set_up(void **state)
{
	struct err err = ERR_INIT;
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	*f = (struct fixture){.base = event_base_new()};
	for (unsigned i = 0; i < OBJECTS; i++) {
		f->bytes[i] = malloc(OBJECT_SIZE);
		for (unsigned j = 0; j < OBJECT_SIZE; j++)
			f->bytes[i][j] = (uint8_t)(j * 2654435761u >> 13) + (uint8_t)i;
		f->objects[i] = digest_of(f->bytes[i], OBJECT_SIZE);
	}
	struct sockaddr_in addr = any_port();
	const struct http_server_config config = {
		.limits = HTTP_LIMITS_DEFAULT, .handle = handle, .data = f};
	assert_ok(http_server_new(
		f->base, (struct sockaddr *)&addr, sizeof(addr), &config, &f->server, &err));
	log_setup(LOG_LEVEL_INFO, log_sink, f);
	start_at(f, http_server_port(f->server));
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	mirror_free(f->mirror);
	http_client_free(f->client);
	http_server_free(f->server);
	event_base_free(f->base);
	for (unsigned i = 0; i < OBJECTS; i++)
		free(f->bytes[i]);
	for (unsigned i = 0; i < IDS; i++)
		buf_done(&f->seen[i].bytes);
	log_setup(LOG_LEVEL_INFO, NULL, NULL);
	free(f);
	return 0;
}

static void turn(struct fixture *f)
{
	struct timeval tv = {.tv_usec = 10000};
	event_base_loopexit(f->base, &tv);
	event_base_loop(f->base, EVLOOP_ONCE);
}

static void turns(struct fixture *f, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		turn(f);
}

/* Until the mirror is not passed over any more. */
static void sit_out(struct fixture *f)
{
	while (mirror_penalty_ms(f->mirror) > 0)
		turn(f);
}

static void wait_for(struct fixture *f, unsigned ends)
{
	for (int i = 0; i < 2000 && f->ends < ends; i++)
		turn(f);
	assert_int_equal(f->ends, ends);
}

static struct chunk chunk_of(const struct fixture *f, unsigned object, uint64_t off, uint32_t len)
{
	return (struct chunk){.object = f->objects[object], .off = off, .len = len};
}

static void want(struct fixture *f, uint32_t id, unsigned object, uint64_t off, uint32_t len,
	enum swarm_priority priority)
{
	struct err err = ERR_INIT;
	struct chunk chunk = chunk_of(f, object, off, len);
	chunk.is_hearsay = f->hearsay;
	assert_ok(mirror_get(f->mirror, id, &chunk, priority, &err));
	assert_int_equal(f->seen[id].ended, 0);
}

/* Somebody waits for it, and so do we for its end. */
static void demand(struct fixture *f, uint32_t id, unsigned object, uint64_t off, uint32_t len)
{
	unsigned ends = f->ends;
	want(f, id, object, off, len, SWARM_DEMAND);
	wait_for(f, ends + 1);
}

static void came(struct fixture *f, uint32_t id, unsigned object, uint64_t off, uint32_t len)
{
	assert_int_equal(f->seen[id].ended, 1);
	assert_int_equal(f->seen[id].how, MIRROR_OK);
	assert_int_equal(f->seen[id].bytes.len, len);
	assert_memory_equal(f->seen[id].bytes.data, f->bytes[object] + off, len);
}

static void ended(struct fixture *f, uint32_t id, enum mirror_end how)
{
	assert_int_equal(f->seen[id].ended, 1);
	assert_int_equal(f->seen[id].how, how);
}

/* The log is one line: of the origin, and this with the object's name for an %s; then it is empty.
 */
static void logged(struct fixture *f, const char *what, const struct digest *object)
{
	char line[1024], text[512], hex[DIGEST_HEX_SIZE] = "";
	if (object != NULL)
		digest_hex(object, hex);
	snprintf(text, sizeof(text), what, hex);
	snprintf(line, sizeof(line), "origin 'http://127.0.0.1:%u/a'%s\n",
		http_server_port(f->server), text);
	assert_string_equal(f->log, line);
	f->log[0] = '\0';
}

static void neighbours(void **state)
{
	struct fixture *f = *state;
	/* Overlapping, touching, with a small gap, out of order: one request. Far away, and another
	 * object: one each. */
	want(f, 1, 0, 32768, 40000, SWARM_PREFETCH);
	want(f, 2, 1, 0, 10, SWARM_PREFETCH);
	want(f, 3, 0, 0, 33792, SWARM_PREFETCH);
	want(f, 4, 0, 72768, 100, SWARM_PREFETCH);
	want(f, 5, 0, 400000, 1000, SWARM_PREFETCH);
	want(f, 6, 0, 75000, 5000, SWARM_BULK);
	want(f, 7, 0, 32768, 40000, SWARM_PREFETCH);
	wait_for(f, 7);
	came(f, 1, 0, 32768, 40000);
	came(f, 2, 1, 0, 10);
	came(f, 3, 0, 0, 33792);
	came(f, 4, 0, 72768, 100);
	came(f, 5, 0, 400000, 1000);
	came(f, 6, 0, 75000, 5000);
	came(f, 7, 0, 32768, 40000);
	assert_int_equal(f->requests, 3);
	assert_non_null(strstr(f->ranges, "0:0-79999 "));
	assert_non_null(strstr(f->ranges, "0:400000-400999 "));
	assert_non_null(strstr(f->ranges, "1:0-9 "));
	assert_string_equal(f->log, "");
}

static void demand_first(void **state)
{
	struct fixture *f = *state;
	for (uint32_t i = 0; i < 20; i++)
		want(f, 1 + i, i % OBJECTS, (i / OBJECTS) * 100000ull, 1000, SWARM_BULK);
	/* What lies behind a demand comes with it, what lies before has to wait. */
	want(f, 30, 3, 500000, 1000, SWARM_PREFETCH);
	want(f, 31, 3, 501000, 1000, SWARM_DEMAND);
	want(f, 32, 3, 502000, 1000, SWARM_PREFETCH);
	wait_for(f, 23);
	came(f, 31, 3, 501000, 1000);
	assert_int_equal(strncmp(f->ranges, "3:501000-502999 ", 16), 0);
	assert_int_equal(f->seen[31].order, 1);
	assert_int_equal(f->seen[32].order, 2);
}

static void bounded(void **state)
{
	struct fixture *f = *state;
	/* 600 KiB of neighbours around a demand: it does not wait for more than its bound. */
	for (uint32_t i = 0; i < 50; i++)
		want(f, 1 + i, 0, i * 12288ull, 12288, i == 10 ? SWARM_DEMAND : SWARM_PREFETCH);
	wait_for(f, 50);
	for (uint32_t i = 0; i < 50; i++)
		came(f, 1 + i, 0, i * 12288ull, 12288);
	assert_int_equal(strncmp(f->ranges, "0:122880-516095 ", 16), 0);
	assert_int_equal(f->requests, 3);
}

static void missing(void **state)
{
	struct fixture *f = *state;
	struct digest known = f->objects[0], unknown = digest_of("unknown", 7);
	f->objects[0] = unknown;
	want(f, 1, 0, 0, 100, SWARM_DEMAND);
	f->objects[0] = known;
	want(f, 2, 0, 0, 100, SWARM_DEMAND);
	wait_for(f, 2);
	ended(f, 1, MIRROR_MISSING);
	came(f, 2, 0, 0, 100);
	logged(f, " has no object '%s'", &unknown);
}

static void failing(void **state)
{
	struct fixture *f = *state;
	f->status = 503;
	demand(f, 1, 0, 0, 100);
	ended(f, 1, MIRROR_FAILED);
	logged(f, ": answers with status 503, passing it over for 0.5 s", NULL);
	/* While it is passed over it is not bothered. */
	assert_true(mirror_penalty_ms(f->mirror) > 0);
	demand(f, 2, 0, 0, 100);
	ended(f, 2, MIRROR_FAILED);
	assert_int_equal(f->requests, 1);
	sit_out(f);
	demand(f, 3, 0, 0, 100);
	ended(f, 3, MIRROR_FAILED);
	logged(f, ": answers with status 503, passing it over for 1.0 s", NULL);
	f->status = 0;
	sit_out(f);
	demand(f, 4, 0, 0, 100);
	came(f, 4, 0, 0, 100);
	logged(f, " serves again", NULL);
}

static void too_short(void **state)
{
	struct fixture *f = *state;
	f->short_by = 1000;
	f->hearsay = true; /* no fault of the mirror's then, and no news */
	for (uint32_t id = 3; id < 5; id++) {
		demand(f, id, 0, OBJECT_SIZE - 600 * (id - 2), 500); /* 416; less than asked for */
		ended(f, id, MIRROR_MISSING);
	}
	assert_string_equal(f->log, "");
	f->hearsay = false;
	f->ends = 0;
	want(f, 1, 0, OBJECT_SIZE - 2000, 2000, SWARM_PREFETCH);
	wait_for(f, 1);
	ended(f, 1, MIRROR_FAILED);
	logged(f, ": object '%s' is shorter than it should be, passing it over for 0.5 s",
		&f->objects[0]);
	sit_out(f);
	want(f, 2, 0, OBJECT_SIZE - 500, 500, SWARM_PREFETCH); /* 416 */
	wait_for(f, 2);
	ended(f, 2, MIRROR_FAILED);
	logged(f, ": object '%s' is shorter than it should be, passing it over for 1.0 s",
		&f->objects[0]);
}

static void gone(void **state)
{
	struct fixture *f = *state;
	unsigned port = http_server_port(f->server);
	f->server = http_server_free(f->server);
	want(f, 1, 0, 0, 100, SWARM_DEMAND);
	want(f, 2, 1, 0, 100, SWARM_DEMAND);
	wait_for(f, 2);
	ended(f, 1, MIRROR_FAILED);
	ended(f, 2, MIRROR_FAILED);
	char expected[512], hex[DIGEST_HEX_SIZE];
	digest_hex(&f->objects[0], hex);
	snprintf(expected, sizeof(expected),
		"origin 'http://127.0.0.1:%u/a': cannot get "
		"'http://127.0.0.1:%u/a/v1/objects/%.2s/%s': cannot connect to '127.0.0.1' port "
		"%u: "
		"Connection refused, passing it over for 0.5 s\n",
		port, port, hex, hex, port);
	assert_string_equal(f->log, expected);
}

static void wrong(void **state)
{
	struct fixture *f = *state;
	struct chunk chunk = chunk_of(f, 0, 5, 10);
	mirror_distrust(f->mirror, &chunk);
	logged(f, ": bytes 5-14 of object '%s' are wrong, passing it over for 7.5 s",
		&f->objects[0]);
	assert_true(mirror_penalty_ms(f->mirror) > 7000);
	struct err err = ERR_INIT;
	struct mirror *none;
	assert_int_equal(mirror_new(f->base, f->client, "http://a/?b", &ops, f, &none, &err), -1);
	assert_err(&err, ERR_USAGE, "'http://a/?b' cannot be an origin: it has a query");
}

static void cancelled(void **state)
{
	struct fixture *f = *state;
	want(f, 1, 0, 0, 1000, SWARM_PREFETCH);
	mirror_cancel(f->mirror, 1); /* before it began */
	want(f, 2, 0, 0, OBJECT_SIZE, SWARM_PREFETCH);
	want(f, 3, 0, 0, OBJECT_SIZE, SWARM_PREFETCH);
	want(f, 4, 0, 0, 1000, SWARM_PREFETCH);
	want(f, 5, 1, 0, 1000, SWARM_PREFETCH);
	f->cancel_at = 4; /* from a callback, in the middle of the run */
	f->cancel = 3;
	wait_for(f, 3);
	came(f, 2, 0, 0, OBJECT_SIZE);
	came(f, 4, 0, 0, 1000);
	came(f, 5, 1, 0, 1000);
	want(f, 6, 2, 0, OBJECT_SIZE, SWARM_PREFETCH);
	f->cancel_at = f->cancel = 6; /* itself, and so its whole run */
	want(f, 7, 3, 0, 1000, SWARM_PREFETCH);
	wait_for(f, 4);
	turns(f, 5);
	came(f, 7, 3, 0, 1000);
	assert_int_equal(f->seen[1].ended + f->seen[3].ended + f->seen[6].ended, 0);
	want(f, 8, 0, 0, 1000, SWARM_PREFETCH);
	f->cancel_at = f->cancel = 8; /* with its last byte */
	turns(f, 20);
	assert_int_equal(f->seen[8].bytes.len, 1000);
	assert_int_equal(f->seen[8].ended, 0);
}

/* The mirror goes at the end of the first of two that come by one request. */
static void free_at_an_end(struct fixture *f, enum mirror_end how)
{
	f->free_at = 1;
	want(f, 1, 0, 0, 1000, SWARM_PREFETCH);
	want(f, 2, 0, 0, 2000, SWARM_PREFETCH);
	wait_for(f, 1);
	turns(f, 5);
	assert_int_equal(f->ends, 1);
	ended(f, 1, how);
}

static void freed_at_a_good_end(void **state)
{
	free_at_an_end(*state, MIRROR_OK);
}

static void freed_at_a_bad_end(void **state)
{
	struct fixture *f = *state;
	f->status = 500;
	free_at_an_end(f, MIRROR_FAILED);
}

static void raw_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *addr,
	int len, void *data)
{
	(void)listener;
	(void)addr;
	(void)len;
	const char *text = data;
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* A server that knows no ranges gives small objects whole. */
static void whole(void **state)
{
	struct fixture *f = *state;
	mirror_free(f->mirror);
	http_client_free(f->client);
	struct sockaddr_in addr = any_port();
	socklen_t len = sizeof(addr);
	struct evconnlistener *listener = evconnlistener_new_bind(f->base, raw_accept,
		(void *)"HTTP/1.0 200 OK\r\nContent-Length: 26\r\n\r\nabcdefghijklmnopqrstuvwxyz",
		LEV_OPT_CLOSE_ON_FREE, 4, (struct sockaddr *)&addr, sizeof(addr));
	getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&addr, &len);
	start_at(f, ntohs(addr.sin_port));
	want(f, 1, 0, 3, 4, SWARM_DEMAND);
	want(f, 2, 0, 20, 6, SWARM_DEMAND);
	wait_for(f, 2);
	ended(f, 1, MIRROR_OK);
	assert_int_equal(f->seen[1].bytes.len, 4);
	assert_memory_equal(f->seen[1].bytes.data, "defg", 4);
	assert_memory_equal(f->seen[2].bytes.data, "uvwxyz", 6);
	evconnlistener_free(listener);
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(neighbours),
		CASE(demand_first),
		CASE(bounded),
		CASE(missing),
		CASE(failing),
		CASE(too_short),
		CASE(gone),
		CASE(wrong),
		CASE(cancelled),
		CASE(freed_at_a_good_end),
		CASE(freed_at_a_bad_end),
		CASE(whole),
	};
	return TEST_MAIN(tests);
}
