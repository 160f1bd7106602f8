/* SPDX-License-Identifier: MIT */
/* A server with a limited uplink and real clients: every byte arrives, and not too early. */
#include "http/pacer.h"

#include "base/mem.h"
#include "http/server.h"
#include "test.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BODY_SIZE 1000000u
#define RATE 5000000u /* bytes a second */

struct fixture {
	struct event_base *base;
	struct pacer *pacer;
	struct http_server *server;
	uint8_t *bytes;
	unsigned done, cut;
};

static void handle(struct http_exchange *x, void *data)
{
	struct fixture *f = data;
	struct err err = ERR_INIT;
	if (strcmp(http_exchange_request(x)->path, "/small") == 0) {
		http_exchange_reply_text(x, 200, "at once");
		return;
	}
	struct http_body *body = http_body_copy(f->bytes, BODY_SIZE, NULL, &err);
	assert_non_null(body);
	http_exchange_reply(x, 200, body);
}

static void done(struct http_exchange *x, const struct http_outcome *outcome, void *data)
{
	(void)x;
	struct fixture *f = data;
	f->done++;
	f->cut += outcome->sent < outcome->len;
}

static void start(struct fixture *f, uint64_t rate, unsigned stall_ms)
{
	struct err err = ERR_INIT;
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	*f = (struct fixture){.base = event_base_new(), .bytes = malloc(BODY_SIZE)};
	for (unsigned i = 0; i < BODY_SIZE; i++)
		f->bytes[i] = (uint8_t)(i * 2654435761u >> 11);
	assert_ok(pacer_new(f->base, rate, &f->pacer, &err));
	struct http_server_config config = {.limits = HTTP_LIMITS_DEFAULT,
		.handle = handle,
		.done = done,
		.data = f,
		.pacer = f->pacer};
	config.limits.stall_ms = stall_ms;
	assert_ok(http_server_new(
		f->base, (struct sockaddr *)&addr, sizeof(addr), &config, &f->server, &err));
}

static void stop(struct fixture *f)
{
	http_server_free(f->server);
	pacer_free(f->pacer);
	event_base_free(f->base);
	free(f->bytes);
}

static int client(struct fixture *f, const char *path)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(http_server_port(f->server))};
	char request[128];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	int len = snprintf(request, sizeof(request),
		"GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", path);
	assert_int_equal(write(fd, request, (size_t)len), len);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

struct taken {
	int fd;
	size_t len;
	bool ended;
	uint8_t bytes[BODY_SIZE + 4096];
};

static void take(struct taken *t)
{
	ssize_t n;
	while (!t->ended && (n = read(t->fd, t->bytes + t->len, sizeof(t->bytes) - t->len)) >= 0) {
		t->len += (size_t)n;
		t->ended = n == 0;
	}
}

static void take_all(struct fixture *f, struct taken *t, unsigned count)
{
	unsigned ended = 0;
	for (int turns = 0; ended < count && turns < 20000; turns++) {
		struct timeval tv = {.tv_usec = 2000};
		event_base_loopexit(f->base, &tv);
		event_base_loop(f->base, EVLOOP_ONCE);
		ended = 0;
		for (unsigned i = 0; i < count; i++) {
			take(&t[i]);
			ended += t[i].ended;
		}
	}
	assert_int_equal(ended, count);
}

static void holds_body(const struct fixture *f, const struct taken *t)
{
	const uint8_t *body = memmem(t->bytes, t->len, "\r\n\r\n", 4);
	assert_non_null(body);
	body += 4;
	assert_int_equal(t->len - (size_t)(body - t->bytes), BODY_SIZE);
	assert_memory_equal(body, f->bytes, BODY_SIZE);
}

static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void limited(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, RATE, 30000);
	static struct taken t[3];
	double began = now();
	for (unsigned i = 0; i < ARRAY_LEN(t); i++)
		t[i] = (struct taken){.fd = client(&f, "/")};
	take_all(&f, t, ARRAY_LEN(t));
	double took = now() - began;
	/* No bound from above: that would measure the machine. */
	assert_true(took > ((double)ARRAY_LEN(t) * BODY_SIZE - RATE / 20.0 - 65536) / RATE);
	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		holds_body(&f, &t[i]);
		close(t[i].fd);
	}
	assert_int_equal(f.cut, 0);
	stop(&f);
}

/* Who waits for its turn longer than the deadline of stalled clients is not cut for it. */
static void patient(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, 1000000, 40);
	static struct taken t[2];
	for (unsigned i = 0; i < ARRAY_LEN(t); i++)
		t[i] = (struct taken){.fd = client(&f, "/")};
	pacer_spend(f.pacer, 300000); /* somebody else uses the uplink */
	take_all(&f, t, ARRAY_LEN(t));
	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		holds_body(&f, &t[i]);
		close(t[i].fd);
	}
	assert_int_equal(f.cut, 0);
	stop(&f);
}

static void small_and_gone(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, 1, 30000);
	static struct taken big, small;
	big = (struct taken){.fd = client(&f, "/")};
	small = (struct taken){.fd = client(&f, "/small")};
	pacer_spend(f.pacer, 1000000); /* for the next eleven days */
	take_all(&f, &small, 1);
	assert_non_null(memmem(small.bytes, small.len, "\r\n\r\nat once\n", 12));
	assert_int_equal(f.done, 1);
	/* The server goes while one waits for its turn. */
	f.server = http_server_free(f.server);
	assert_int_equal(f.done, 2);
	assert_int_equal(f.cut, 1);
	close(big.fd);
	close(small.fd);
	stop(&f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limited),
		cmocka_unit_test(patient),
		cmocka_unit_test(small_and_gone),
	};
	return TEST_MAIN(tests);
}
