/* SPDX-License-Identifier: MIT */
/* The server over real sockets on loopback: the loop runs here, clients are non-blocking sockets.
 */
#include "http/server.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A body of three pieces: "memory" × n, zeros, and a file. */
#define MEMORY_LEN 100000u
#define ZERO_LEN 200000u
#define FILE_LEN 3000000u
#define BODY_LEN (MEMORY_LEN + ZERO_LEN + FILE_LEN)

struct mixed_body {
	struct http_body body;
	uint8_t *memory;
	char *path;
	int references;
};

struct fixture {
	struct event_base *base;
	struct http_server *server;
	struct sockaddr_in addr;
	struct mixed_body mixed;
	uint8_t *expected;
	struct http_exchange *parked; /* a request to /later */
	unsigned done, answered, cut;
	char failure[256];
	bool drained;
};

static void mixed_piece_at(const struct http_body *body, uint64_t off, struct http_piece *ret)
{
	const struct mixed_body *mixed = (const struct mixed_body *)body;
	if (off < MEMORY_LEN)
		*ret = (struct http_piece){
			HTTP_PIECE_MEMORY, MEMORY_LEN - off, mixed->memory + off, NULL, 0};
	else if (off < MEMORY_LEN + ZERO_LEN)
		*ret = (struct http_piece){
			HTTP_PIECE_ZERO, MEMORY_LEN + ZERO_LEN - off, NULL, NULL, 0};
	else
		*ret = (struct http_piece){HTTP_PIECE_FILE, BODY_LEN - off, NULL, mixed->path,
			off - MEMORY_LEN - ZERO_LEN + 7};
}

static void mixed_release(struct http_body *body)
{
	((struct mixed_body *)body)->references--;
}

static const struct http_body_ops mixed_ops = {mixed_piece_at, mixed_release};

static struct http_body *mixed_ref(struct fixture *f)
{
	f->mixed.references++;
	return &f->mixed.body;
}

static void handle(struct http_exchange *x, void *data)
{
	struct fixture *f = data;
	const char *path = http_exchange_request(x)->path;
	if (strcmp(path, "/mixed") == 0)
		http_exchange_reply(x, 200, mixed_ref(f));
	else if (strcmp(path, "/later") == 0)
		f->parked = x;
	else
		http_exchange_reply_text(x, 404, "nothing at '%s'", path);
}

static void done(struct http_exchange *x, const struct http_outcome *outcome, void *data)
{
	struct fixture *f = data;
	f->done++;
	f->answered += outcome->status == 200 && outcome->sent == outcome->len;
	f->cut += outcome->sent < outcome->len || outcome->status == 0;
	if (outcome->failure != NULL)
		snprintf(f->failure, sizeof(f->failure), "%s", outcome->failure);
	if (f->parked == x)
		f->parked = NULL;
}

static void start(struct fixture *f, struct http_limits limits)
{
	struct err err = ERR_INIT;
	*f = (struct fixture){.base = event_base_new()};
	f->expected = calloc(1, BODY_LEN);
	uint8_t *file = malloc(FILE_LEN + 7);
	for (size_t i = 0; i < FILE_LEN + 7; i++)
		file[i] = (uint8_t)(i * 31 >> 3);
	for (size_t i = 0; i < MEMORY_LEN; i++)
		f->expected[i] = (uint8_t)i;
	memcpy(f->expected + MEMORY_LEN + ZERO_LEN, file + 7, FILE_LEN);
	const char *dir = test_tmpdir();
	test_write(dir, "file", file, FILE_LEN + 7);
	free(file);
	f->mixed =
		(struct mixed_body){.body = {.ops = &mixed_ops, .size = BODY_LEN, .etag = "\"m\""},
			.memory = f->expected,
			.path = path_printf(&err, "%s/file", dir)};
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
	assert_int_equal(f->mixed.references, 0);
	event_base_free(f->base);
	free(f->mixed.path);
	free(f->expected);
}

static int client(struct fixture *f, const char *request)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
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

/* Reads until `want` bytes are there or the server closed; at most 20 s. */
static void receive(struct fixture *f, int fd, size_t want, struct buf *in)
{
	struct err err = ERR_INIT;
	for (int turns = 0; in->len < want && turns < 2000; turns++) {
		uint8_t *p = buf_reserve(in, 1 << 20, &err);
		ssize_t n = read(fd, p, 1 << 20);
		if (n == 0)
			return;
		if (n > 0)
			in->len += (size_t)n;
		else if (errno != EAGAIN)
			return;
		turn(f);
	}
}

static void receive_all(struct fixture *f, int fd, struct buf *in)
{
	receive(f, fd, SIZE_MAX, in);
}

static size_t head_len(struct buf *in)
{
	const uint8_t *end = memmem(in->data, in->len, "\r\n\r\n", 4);
	assert_non_null(end);
	return (size_t)(end + 4 - in->data);
}

static bool has(struct buf *in, const char *text)
{
	return memmem(in->data, in->len, text, strlen(text)) != NULL;
}

static void pieces_and_ranges(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, HTTP_LIMITS_DEFAULT);
	static const struct {
		const char *field;
		size_t off, len;
	} cases[] = {
		{"", 0, BODY_LEN},
		{"Range: bytes=99999-100000\r\n", 99999, 2},
		{"Range: bytes=50000-2000000\r\n", 50000, 1950001},
		{"Range: bytes=299999-300000\r\n", 299999, 2},
		{"Range: bytes=-1\r\n", BODY_LEN - 1, 1},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char request[256];
		snprintf(request, sizeof(request),
			"GET /mixed HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n",
			cases[i].field);
		AUTO_BUF in = {0};
		int fd = client(&f, request);
		receive_all(&f, fd, &in);
		close(fd);
		size_t head = head_len(&in);
		assert_int_equal(in.len - head, cases[i].len);
		assert_memory_equal(in.data + head, f.expected + cases[i].off, cases[i].len);
	}
	stop(&f);
	assert_int_equal(f.done, ARRAY_LEN(cases));
}

static void requests_on_one_connection(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, HTTP_LIMITS_DEFAULT);
	AUTO_BUF in = {0};
	int fd = client(&f,
		"HEAD /mixed HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n"
		"PUT /x HTTP/1.1\r\nHost: a\r\n\r\nGET /%0a HTTP/1.1\r\nHost: a\r\n\r\nGET / ");
	receive_all(&f, fd, &in);
	close(fd);
	size_t first = head_len(&in);
	assert_true(has(&in, "Content-Length: 3300000\r\n"));
	assert_memory_equal(in.data + first, "HTTP/1.1 404 Not Found\r\n", 24);
	assert_true(has(&in, "\r\n\r\nnothing at '/x'\nHTTP/1.1 405 Method Not Allowed\r\n"));
	assert_true(has(&in, "only GET and HEAD are served\nHTTP/1.1 400 Bad Request\r\n"));
	assert_true(has(&in,
		"Connection: close\r\n\r\nmalformed request: control character in the "
		"target\n"));
	stop(&f);
}

static void client_closes_in_the_middle(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, HTTP_LIMITS_DEFAULT);
	AUTO_BUF in = {0};
	int fd = client(&f, "GET /mixed HTTP/1.1\r\nHost: a\r\n\r\n");
	receive(&f, fd, 1000, &in);
	struct linger reset = {.l_onoff = 1};
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
	for (int i = 0; i < 200 && http_server_clients(f.server) > 0; i++)
		turn(&f);
	assert_int_equal(http_server_clients(f.server), 0);
	assert_int_equal(f.mixed.references, 0);
	assert_int_equal(f.done, 1);
	stop(&f);
}

static void client_leaves_before_the_reply(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, HTTP_LIMITS_DEFAULT);
	int fd = client(&f, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
	for (int i = 0; i < 200 && f.parked == NULL; i++)
		turn(&f);
	assert_non_null(f.parked);
	close(fd);
	for (int i = 0; i < 200 && f.parked != NULL; i++)
		turn(&f);
	assert_null(f.parked);
	assert_int_equal(f.cut, 1);
	stop(&f);
}

/* As above, with a request that came behind another one on its connection. */
static void client_leaves_before_the_second_reply(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, HTTP_LIMITS_DEFAULT);
	int fd = client(
		&f, "GET /x HTTP/1.1\r\nHost: a\r\n\r\nGET /later HTTP/1.1\r\nHost: a\r\n\r\n");
	for (int i = 0; i < 200 && f.parked == NULL; i++)
		turn(&f);
	assert_non_null(f.parked);
	close(fd);
	for (int i = 0; i < 200 && f.parked != NULL; i++)
		turn(&f);
	assert_null(f.parked);
	assert_int_equal(f.cut, 1);
	stop(&f);
}

static void late_reply(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, HTTP_LIMITS_DEFAULT);
	int fd = client(&f, "GET /later HTTP/1.0\r\n\r\n");
	for (int i = 0; i < 200 && f.parked == NULL; i++)
		turn(&f);
	http_exchange_reply(f.parked, 200, mixed_ref(&f));
	AUTO_BUF in = {0};
	receive_all(&f, fd, &in);
	close(fd);
	assert_int_equal(in.len - head_len(&in), BODY_LEN);
	assert_int_equal(f.answered, 1);
	stop(&f);
}

static void deadlines(void **state)
{
	(void)state;
	struct http_limits limits = HTTP_LIMITS_DEFAULT;
	limits.head_ms = limits.idle_ms = limits.stall_ms = 100;
	struct fixture f;
	start(&f, limits);
	AUTO_BUF idle = {0}, slow = {0};
	int idle_fd = client(&f, "");
	receive_all(&f, idle_fd, &idle);
	close(idle_fd);
	assert_int_equal(idle.len, 0);
	int slow_fd = client(&f, "GET / HT");
	receive_all(&f, slow_fd, &slow);
	close(slow_fd);
	assert_true(has(&slow, "HTTP/1.1 408 Request Timeout\r\n"));

	int stalled = client(&f, "GET /mixed HTTP/1.1\r\nHost: a\r\n\r\n");
	for (int i = 0; i < 500 && f.failure[0] == '\0'; i++)
		turn(&f);
	assert_string_equal(f.failure, "the client stopped reading");
	assert_int_equal(http_server_clients(f.server), 0);
	close(stalled);
	stop(&f);
}

static void many_clients(void **state)
{
	(void)state;
	struct http_limits limits = HTTP_LIMITS_DEFAULT;
	limits.clients = 20;
	struct fixture f;
	start(&f, limits);
	int fds[60];
	struct buf in[60] = {0};
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = client(&f,
			"GET /mixed HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
			"Range: bytes=99000-400000\r\n\r\n");
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		receive_all(&f, fds[i], &in[i]);
		close(fds[i]);
		size_t head = head_len(&in[i]);
		assert_int_equal(in[i].len - head, 301001);
		assert_memory_equal(in[i].data + head, f.expected + 99000, 301001);
		assert_true(http_server_clients(f.server) <= 21);
		buf_done(&in[i]);
	}
	stop(&f);
}

static void damaged_file(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, HTTP_LIMITS_DEFAULT);
	test_shell("truncate -s 1000000 '%s'", f.mixed.path);
	AUTO_BUF in = {0};
	int fd = client(&f, "GET /mixed HTTP/1.1\r\nHost: a\r\n\r\n");
	receive_all(&f, fd, &in);
	close(fd);
	/* 7 bytes of the file stand before what the body refers to */
	assert_int_equal(in.len - head_len(&in), MEMORY_LEN + ZERO_LEN + 1000000 - 7);
	char msg[300];
	snprintf(msg, sizeof(msg),
		"'%s' ends before offset 1000000, where 2000007 bytes are expected", f.mixed.path);
	assert_string_equal(f.failure, msg);
	stop(&f);

	start(&f, HTTP_LIMITS_DEFAULT);
	assert_int_equal(unlink(f.mixed.path), 0);
	buf_clear(&in);
	fd = client(&f,
		"GET /mixed HTTP/1.1\r\nHost: a\r\nRange: bytes=400000-\r\n"
		"Connection: close\r\n\r\n");
	receive_all(&f, fd, &in);
	close(fd);
	assert_true(has(&in, "HTTP/1.1 500 Internal Server Error\r\n"));
	snprintf(msg, sizeof(msg), "\r\n\r\ncannot open '%s': No such file or directory\n",
		f.mixed.path);
	assert_true(has(&in, msg));
	stop(&f);
}

static void on_drained(void *data)
{
	((struct fixture *)data)->drained = true;
}

static void drain(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, HTTP_LIMITS_DEFAULT);
	int idle = client(&f, ""), busy = client(&f, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
	for (int i = 0; i < 200 && (f.parked == NULL || http_server_clients(f.server) < 2); i++)
		turn(&f);
	http_server_drain(f.server, on_drained, &f);
	assert_false(f.drained);
	assert_int_equal(http_server_clients(f.server), 1);
	http_exchange_reply(f.parked, 200, mixed_ref(&f));
	AUTO_BUF in = {0};
	receive_all(&f, busy, &in);
	close(busy);
	close(idle);
	assert_int_equal(in.len - head_len(&in), BODY_LEN);
	assert_true(has(&in, "Connection: close\r\n"));
	for (int i = 0; i < 200 && !f.drained; i++)
		turn(&f);
	assert_true(f.drained);
	stop(&f);
}

static void cannot_listen(void **state)
{
	(void)state;
	struct fixture f;
	struct err err = ERR_INIT;
	start(&f, HTTP_LIMITS_DEFAULT);
	const struct http_server_config config = {
		.limits = HTTP_LIMITS_DEFAULT, .handle = handle, .data = &f};
	struct http_server *second = NULL;
	char msg[128];
	assert_int_equal(http_server_new(f.base, (struct sockaddr *)&f.addr, sizeof(f.addr),
				 &config, &second, &err),
		-1);
	assert_string_equal(err.hint,
		"another program has this port ('ss -ltnp' names it); choose another one with "
		"--listen ADDR:PORT");
	snprintf(msg, sizeof(msg), "cannot listen on '127.0.0.1:%u': Address already in use",
		ntohs(f.addr.sin_port));
	assert_err(&err, ERR_AGAIN, msg);
	struct sockaddr_in other = f.addr;
	other.sin_addr.s_addr = htonl(0xc0000201);
	other.sin_port = htons(8080);
	assert_int_equal(http_server_new(f.base, (struct sockaddr *)&other, sizeof(other), &config,
				 &second, &err),
		-1);
	assert_err(&err, ERR_NOT_FOUND,
		"cannot listen on '192.0.2.1:8080': Cannot assign requested address");
	stop(&f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_and_ranges),
		cmocka_unit_test(requests_on_one_connection),
		cmocka_unit_test(client_closes_in_the_middle),
		cmocka_unit_test(client_leaves_before_the_reply),
		cmocka_unit_test(client_leaves_before_the_second_reply),
		cmocka_unit_test(late_reply),
		cmocka_unit_test(deadlines),
		cmocka_unit_test(many_clients),
		cmocka_unit_test(damaged_file),
		cmocka_unit_test(drain),
		cmocka_unit_test(cannot_listen),
	};
	return TEST_MAIN(tests);
}
