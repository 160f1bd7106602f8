/* SPDX-License-Identifier: MIT */
/* Connections that leave HTTP, and servers on unix sockets. */
#include "http/server.h"

#include "base/mem.h"
#include "base/path.h"
#include "test.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct fixture {
	struct event_base *base;
	struct http_server *server;
	struct sockaddr_un addr;
	int upgraded; /* the connection, or -1 */
	char early[64];
	size_t early_len;
	unsigned done;
	struct http_outcome outcome;
	char failure[128];
};

static void upgraded(int take_fd, const void *early, size_t early_len, void *data)
{
	struct fixture *f = data;
	f->upgraded = take_fd;
	f->early_len = early_len;
	assert_true(early_len < sizeof(f->early));
	memcpy(f->early, early, early_len);
}

static void handle(struct http_exchange *x, void *data)
{
	if (strcmp(http_exchange_request(x)->path, "/stream") == 0)
		http_exchange_stream(x, "text/plain", upgraded, data);
	else if (http_exchange_wants(x, "link/1"))
		http_exchange_upgrade(x, "link/1", upgraded, data);
	else
		http_exchange_reply_text(x, 200, "plain for '%s'", http_exchange_peer(x));
}

static void done(struct http_exchange *x, const struct http_outcome *outcome, void *data)
{
	(void)x;
	struct fixture *f = data;
	f->done++;
	f->outcome = *outcome;
	if (outcome->failure != NULL)
		snprintf(f->failure, sizeof(f->failure), "%s", outcome->failure);
}

static const struct http_server_config *config_of(struct fixture *f)
{
	static struct http_server_config config;
	config = (struct http_server_config){
		.limits = HTTP_LIMITS_DEFAULT, .handle = handle, .done = done, .data = f};
	return &config;
}

static void start(struct fixture *f)
{
	struct err err = ERR_INIT;
	*f = (struct fixture){.base = event_base_new(), .upgraded = -1};
	f->addr.sun_family = AF_UNIX;
	snprintf(f->addr.sun_path, sizeof(f->addr.sun_path), "%s/socket", test_tmpdir());
	assert_ok(http_server_new(f->base, (struct sockaddr *)&f->addr, sizeof(f->addr),
		config_of(f), &f->server, &err));
}

static void stop(struct fixture *f)
{
	http_server_free(f->server);
	if (f->upgraded >= 0)
		close(f->upgraded);
	event_base_free(f->base);
	assert_int_equal(access(f->addr.sun_path, F_OK), -1);
}

static void turn(struct fixture *f)
{
	struct timeval tv = {.tv_usec = 10000};
	event_base_loopexit(f->base, &tv);
	event_base_loop(f->base, EVLOOP_ONCE);
}

static int client(struct fixture *f, const char *request)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&f->addr, sizeof(f->addr)), 0);
	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

/* What the server says until it has nothing more to say. */
static const char *answer(struct fixture *f, int fd)
{
	static char text[2048];
	size_t len = 0;
	for (int i = 0; i < 500; i++) {
		ssize_t n = read(fd, text + len, sizeof(text) - 1 - len);
		if (n == 0 || (n < 0 && len > 0))
			break;
		len += n > 0 ? (size_t)n : 0;
		turn(f);
	}
	text[len] = '\0';
	return text;
}

static void handed_over(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	int fd = client(&f,
		"GET /v1/link HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"
		"Upgrade: other/2, Link/1\r\n\r\nfirst frame");
	assert_string_equal(answer(&f, fd),
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: link/1\r\nConnection: "
		"Upgrade\r\n\r\n");
	assert_int_equal(f.done, 1);
	assert_int_equal(f.outcome.status, 101);
	assert_true(f.upgraded >= 0);
	assert_int_equal(f.early_len, 11);
	assert_memory_equal(f.early, "first frame", 11);
	assert_int_equal(http_server_clients(f.server), 0);
	/* It is an ordinary connection in both directions, and outlives the server. */
	f.server = http_server_free(f.server);
	char byte = 0;
	assert_int_equal(write(f.upgraded, "x", 1), 1);
	assert_int_equal(read(fd, &byte, 1), 1);
	assert_int_equal(byte, 'x');
	assert_int_equal(fcntl(f.upgraded, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	close(fd);
	stop(&f);
}

/* An answer without an end: the head, and then the connection is the handler's. */
static void streamed(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	int fd = client(&f, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
	const char *text = answer(&f, fd);
	assert_int_equal(strncmp(text, "HTTP/1.1 200 OK\r\nServer: snowboot/", 34), 0);
	assert_non_null(strstr(text,
		" GMT\r\nCache-Control: no-cache\r\nContent-Type: text/plain\r\n"
		"Connection: close\r\n\r\n"));
	assert_null(strstr(text, "Content-Length"));
	assert_int_equal(f.done, 1);
	assert_int_equal(f.outcome.status, 200);
	assert_true(f.outcome.handed_over);
	assert_true(f.upgraded >= 0);
	close(fd);
	stop(&f);

	start(&f);
	fd = client(&f, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
	close(fd);
	for (int i = 0; i < 500 && f.done == 0; i++)
		turn(&f);
	assert_int_equal(f.done, 1);
	assert_int_equal(f.upgraded, -1);
	assert_false(f.outcome.handed_over);
	stop(&f);
}

static void not_asked(void **state)
{
	(void)state;
	static const char *const requests[] = {
		"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: link/1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: link/2\r\n\r\n",
		"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: link/1\r\n\r\n",
	};
	struct fixture f;
	start(&f);
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		int fd = client(&f, requests[i]);
		const char *text = answer(&f, fd);
		assert_int_equal(strncmp(text, "HTTP/1.1 200 OK\r\n", 17), 0);
		assert_non_null(strstr(text, "\r\n\r\nplain for ''\n"));
		close(fd);
	}
	assert_int_equal(f.upgraded, -1);
	stop(&f);
}

static void client_leaves(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	int fd = client(
		&f, "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: link/1\r\n\r\n");
	close(fd);
	for (int i = 0; i < 500 && f.done == 0; i++)
		turn(&f);
	assert_int_equal(f.done, 1);
	assert_int_equal(f.upgraded, -1); /* the 101 met a closed socket */
	assert_string_equal(f.failure, "cannot send: Broken pipe");
	stop(&f);
}

static void unix_socket(void **state)
{
	(void)state;
	struct fixture f, second;
	struct err err = ERR_INIT;
	struct stat st;
	char msg[256];
	start(&f);
	assert_int_equal(stat(f.addr.sun_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(http_server_port(f.server), 0);
	second = f;
	assert_int_equal(http_server_new(f.base, (struct sockaddr *)&f.addr, sizeof(f.addr),
				 config_of(&f), &second.server, &err),
		-1);
	assert_string_equal(err.hint, "another program listens there ('ss -lxp' names it)");
	snprintf(
		msg, sizeof(msg), "cannot listen on '%s': Address already in use", f.addr.sun_path);
	assert_err(&err, ERR_AGAIN, msg);
	http_server_free(f.server);
	/* What a process that was killed leaves behind is replaced. */
	int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(dead, (struct sockaddr *)&f.addr, sizeof(f.addr)), 0);
	close(dead);
	assert_ok(http_server_new(f.base, (struct sockaddr *)&f.addr, sizeof(f.addr), config_of(&f),
		&f.server, &err));
	stop(&f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handed_over),
		cmocka_unit_test(streamed),
		cmocka_unit_test(not_asked),
		cmocka_unit_test(client_leaves),
		cmocka_unit_test(unix_socket),
	};
	return TEST_MAIN(tests);
}
