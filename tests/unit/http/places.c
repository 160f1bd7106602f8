/* SPDX-License-Identifier: MIT */
/* A server with four places and more clients than those: who gives its own to the next one. */
#include "http/server.h"

#include "base/buf.h"
#include "base/mem.h"
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LARGE_LEN ((size_t)16 << 20) /* more than the kernel takes for one client */
#define PLACE_MS 300
#define PLACE_RATE 20000

struct fixture {
	struct event_base *base;
	struct http_server *server;
	struct sockaddr_in addr;
	char *large;
	struct http_exchange *parked; /* a request to /later */
	unsigned answered, cut;
	char failure[256];
};

static void handle(struct http_exchange *x, void *data)
{
	struct fixture *f = data;
	struct err err = ERR_INIT;
	const char *path = http_exchange_request(x)->path;
	if (strcmp(path, "/later") == 0) {
		f->parked = x;
	} else if (strcmp(path, "/large") == 0) {
		struct http_body *body = http_body_copy(f->large, LARGE_LEN, NULL, &err);
		assert_non_null(body);
		http_exchange_reply(x, 200, body);
	} else {
		http_exchange_reply_text(x, 404, "nothing at '%s'", path);
	}
}

static void done(struct http_exchange *x, const struct http_outcome *outcome, void *data)
{
	struct fixture *f = data;
	f->answered += outcome->status == 200 && outcome->sent == outcome->len;
	f->cut += outcome->failure != NULL;
	if (outcome->failure != NULL)
		snprintf(f->failure, sizeof(f->failure), "%s", outcome->failure);
	if (f->parked == x)
		f->parked = NULL;
}

static void start(struct fixture *f)
{
	struct err err = ERR_INIT;
	*f = (struct fixture){.base = event_base_new(), .large = calloc(1, LARGE_LEN)};
	struct http_limits limits = HTTP_LIMITS_DEFAULT;
	limits.clients = 4;
	limits.place_ms = PLACE_MS;
	limits.place_rate = PLACE_RATE;
	const struct http_server_config config = {
		.limits = limits, .handle = handle, .done = done, .data = f};
	f->addr = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_ok(http_server_new(
		f->base, (struct sockaddr *)&f->addr, sizeof(f->addr), &config, &f->server, &err));
	f->addr.sin_port = htons(http_server_port(f->server));
}

static void stop(struct fixture *f)
{
	http_server_free(f->server);
	event_base_free(f->base);
	free(f->large);
}

/* With a small buffer, so that what it does not read is not acknowledged. */
static int client(struct fixture *f, const char *request)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), size = 4096;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&f->addr, sizeof(f->addr)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
	return fd;
}

/* Runs the loop once, waiting at most 10 ms. */
static void turn(struct fixture *f)
{
	struct timeval tv = {.tv_usec = 10000};
	event_base_loopexit(f->base, &tv);
	event_base_loop(f->base, EVLOOP_ONCE);
}

/* The first bytes of an answer; at most 20 s. */
static void expect(struct fixture *f, int fd, const char *begin)
{
	char in[256] = "";
	for (int turns = 0; turns < 2000 && read(fd, in, strlen(begin)) < 0; turns++)
		turn(f);
	assert_string_equal(in, begin);
}

static bool closed(int fd)
{
	char byte;
	return recv(fd, &byte, 1, MSG_PEEK) == 0;
}

/* What came before may be read still; a reset is told once. */
static bool is_cut(int fd)
{
	char bytes[4096];
	ssize_t n;
	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		;
	return n == 0 || errno == ECONNRESET;
}

/* Whoever asks for nothing makes place: the idle first, then the oldest; nobody who is answered. */
static void who_asks_nothing(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	int waits = client(&f, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n"), fds[20];
	int begun = client(&f, "GET / HT"), later = client(&f, "GET / HT");
	for (int i = 0; i < 200 && (f.parked == NULL || http_server_clients(f.server) < 3); i++)
		turn(&f);
	(void)usleep(300 * 1000); /* then nothing is on its way any more */
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = client(&f, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
		expect(&f, fds[i], "HTTP/1.1 404 Not Found\r\n");
		assert_true(http_server_clients(f.server) <= 4);
		assert_true(closed(begun)); /* nobody was idle when the first came */
		assert_false(closed(later));
	}
	http_exchange_reply_text(f.parked, 200, "at last");
	expect(&f, waits, "HTTP/1.1 200 OK\r\n");
	stop(&f);
}

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Turns for a while, in which two clients read, 10 times a second: one 5 KB/s, the other up to
 * 160 KB/s, so that it is not at its end soon. */
static void read_for(struct fixture *f, unsigned ms, int slow, int fast)
{
	static char bytes[1 << 14];
	int64_t begun = now_ms(), next = begun;
	while (now_ms() - begun < ms) {
		turn(f);
		if (now_ms() < next)
			continue;
		(void)!read(slow, bytes, 512); /* it may be cut */
		(void)!read(fast, bytes, sizeof(bytes));
		next += 100;
	}
}

/* Why the last one was cut, and how fast it read. */
static uint64_t check_failure(struct fixture *f)
{
	uint64_t rate = UINT64_MAX;
	char whole[256];
	assert_int_equal(
		sscanf(f->failure, "another client needs its place: it read %" SCNu64, &rate), 1);
	snprintf(whole, sizeof(whole),
		"another client needs its place: it read %" PRIu64 " < %d bytes a second", rate,
		PLACE_RATE);
	assert_string_equal(f->failure, whole);
	return rate;
}

/* When all are answered, whoever reads the slowest makes place; whoever reads well does not, and
 * nobody is asked to before it was watched for a while. */
static void who_hardly_reads(void **state)
{
	(void)state;
	struct fixture f;
	static const char large[] = "GET /large HTTP/1.1\r\nHost: a\r\n\r\n";
	static const char later[] = "GET /later HTTP/1.1\r\nHost: a\r\n\r\n";
	start(&f);
	int dead = client(&f, large), slow = client(&f, large), fast = client(&f, large);
	read_for(&f, PLACE_MS / 3, slow, fast);
	int waits = client(&f, later), next = client(&f, "GET /x HTTP/1.0\r\n\r\n");
	read_for(&f, PLACE_MS / 3, slow, fast);
	assert_int_equal(f.cut, 0);
	assert_int_equal(http_server_clients(f.server), 4);
	read_for(&f, 2 * PLACE_MS, slow, fast);
	assert_int_equal(f.cut, 1);
	assert_true(check_failure(&f) < PLACE_RATE);
	assert_true(is_cut(dead));
	expect(&f, next, "HTTP/1.1 404 Not Found\r\n");
	close(next);
	close(dead);

	/* Its place is another's now, who waits for an answer: the next to go is the slow one. */
	int second = client(&f, later);
	read_for(&f, PLACE_MS, slow, fast);
	assert_int_equal(f.cut, 1);
	int third = client(&f, later);
	read_for(&f, PLACE_MS, slow, fast);
	assert_int_equal(f.cut, 2);
	assert_true(check_failure(&f) < PLACE_RATE);
	assert_true(is_cut(slow));

	/* Nobody is slow any more: the next one waits. */
	int fourth = client(&f, later);
	for (int i = 0; i < 3; i++)
		read_for(&f, PLACE_MS, slow, fast);
	assert_int_equal(f.cut, 2);
	assert_int_equal(http_server_clients(f.server), 4);
	const int all[] = {waits, second, third, fourth, slow, fast};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		close(all[i]);
	stop(&f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_asks_nothing),
		cmocka_unit_test(who_hardly_reads),
	};
	return TEST_MAIN(tests);
}
