/* SPDX-License-Identifier: MIT */
#ifndef CLIENT_FIXTURE_H
#define CLIENT_FIXTURE_H

/*
 * The client over real sockets on loopback, against the project's own server and against servers
 * that follow a script, most of them badly. Everything runs on one loop.
 */
#include "http/client.h"

#include "base/buf.h"
#include "base/mem.h"
#include "http/server.h"
#include "test.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum then { THEN_KEEP, THEN_CLOSE, THEN_RESET };

/* What a scripted server says to the n-th request, on whatever connection it comes. */
struct line {
	const char *text; /* "%u" becomes the server's port */
	enum then then;
	unsigned repeat; /* the text is sent so many times more */
	bool trickle;    /* a byte each 20 ms */
};

struct script {
	struct event_base *base;
	struct evconnlistener *listener;
	uint16_t port;
	const struct line *lines;
	unsigned count, requests, connections;
	char last[4096]; /* the last request */
};

struct talk {
	struct script *script;
	struct event *readable, *tick;
	int fd;
	char in[4096];
	size_t len;
	struct buf out;
	size_t sent;
	enum then then;
};

static void talk_end(struct talk *t)
{
	event_free(t->readable);
	event_free(t->tick);
	close(t->fd);
	buf_done(&t->out);
	free(t);
}

static void talk_tick(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	struct talk *t = data;
	if (t->sent == t->out.len || write(t->fd, t->out.data + t->sent++, 1) != 1)
		return;
	struct timeval tv = {.tv_usec = 20000};
	event_add(t->tick, &tv);
}

static void talk_answer(struct talk *t)
{
	struct script *s = t->script;
	struct err err = ERR_INIT;
	const struct line *line = &s->lines[s->requests < s->count ? s->requests : s->count - 1];
	s->requests++;
	memcpy(s->last, t->in, t->len);
	s->last[t->len] = '\0';
	t->len = 0;
	buf_clear(&t->out);
	t->sent = 0;
	for (unsigned i = 0; i <= line->repeat; i++)
		assert_ok(buf_printf(&t->out, &err, line->text, s->port));
	if (line->trickle) {
		talk_tick(-1, 0, t);
		return;
	}
	/* What does not fit the socket's buffer is lost: no script needs it. */
	(void)!send(t->fd, t->out.data, t->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (line->then == THEN_RESET) {
		struct linger linger = {.l_onoff = 1};
		setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	}
	if (line->then != THEN_KEEP)
		talk_end(t);
}

static void talk_read(evutil_socket_t fd, short what, void *data)
{
	(void)what;
	struct talk *t = data;
	ssize_t n = read(fd, t->in + t->len, sizeof(t->in) - 1 - t->len);
	if (n <= 0) {
		talk_end(t);
		return;
	}
	t->len += (size_t)n;
	if (memmem(t->in, t->len, "\r\n\r\n", 4) != NULL)
		talk_answer(t);
}

static void script_accept(struct evconnlistener *listener, evutil_socket_t fd,
	struct sockaddr *addr, int len, void *data)
{
	(void)listener;
	(void)addr;
	(void)len;
	struct script *s = data;
	struct talk *t = calloc(1, sizeof(*t));
	s->connections++;
	t->script = s;
	t->fd = fd;
	t->readable = event_new(s->base, fd, EV_READ | EV_PERSIST, talk_read, t);
	t->tick = event_new(s->base, -1, 0, talk_tick, t);
	event_add(t->readable, NULL);
}

struct fixture {
	struct event_base *base;
	struct http_client *client;
	struct script script;
	struct http_server *server;
	struct http_exchange *parked[16];
	unsigned parked_count;
	char order[64]; /* last characters of the paths that the server saw */
};

/* One request's outcome. */
struct result {
	struct fixture *fixture;
	struct http_get *get;
	struct http_answer answer;
	char etag[64];
	struct buf body;
	unsigned heads, ended;
	bool refuse_head, cancel_in_body, free_in_done, again;
	struct err failure;
};

static void start(struct fixture *f, const struct line *lines, unsigned count)
{
	struct err err = ERR_INIT;
	*f = (struct fixture){.base = event_base_new()};
	const struct http_client_limits limits = {.connect_ms = 500,
		.first_byte_ms = 300,
		.stall_ms = 300,
		.per_host = 3,
		.idle_ms = 10000};
	assert_ok(http_client_new(f->base, &limits, &f->client, &err));
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	f->script = (struct script){.base = f->base, .lines = lines, .count = count};
	f->script.listener = evconnlistener_new_bind(f->base, script_accept, &f->script,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 16, (struct sockaddr *)&addr,
		sizeof(addr));
	assert_non_null(f->script.listener);
	getsockname(evconnlistener_get_fd(f->script.listener), (struct sockaddr *)&addr, &len);
	f->script.port = ntohs(addr.sin_port);
}

#define START(f, ...) \
	static const struct line lines[] = {__VA_ARGS__}; \
	start((f), lines, ARRAY_LEN(lines))

/* Runs the loop once, waiting at most 10 ms. */
static void turn(struct fixture *f)
{
	struct timeval tv = {.tv_usec = 10000};
	event_base_loopexit(f->base, &tv);
	event_base_loop(f->base, EVLOOP_ONCE);
}

static void stop(struct fixture *f)
{
	f->client = http_client_free(f->client);
	f->server = http_server_free(f->server);
	evconnlistener_free(f->script.listener);
	for (int i = 0; i < 5; i++) /* the scripted ends see their clients gone */
		turn(f);
	event_base_free(f->base);
}

static int on_head(
	struct http_get *get, const struct http_answer *answer, void *data, struct err *err)
{
	(void)get;
	struct result *r = data;
	r->heads++;
	r->answer = *answer;
	snprintf(r->etag, sizeof(r->etag), "%s", answer->etag != NULL ? answer->etag : "");
	return r->refuse_head ? err_raise(err, ERR_USAGE, "not what I like") : 0;
}

static int on_body(struct http_get *get, const void *bytes, size_t len, void *data, struct err *err)
{
	struct result *r = data;
	assert_true(len > 0);
	if (buf_put(&r->body, bytes, len, err) < 0)
		return -1;
	if (r->cancel_in_body) {
		http_get_cancel(get);
		r->ended++;
	}
	return 0;
}

static void on_done(struct http_get *get, const struct err *failure, void *data);
static const struct http_get_ops ops = {on_head, on_body, on_done};

static void on_done(struct http_get *get, const struct err *failure, void *data)
{
	struct result *r = data;
	r->ended++;
	if (failure != NULL)
		r->failure = *failure;
	http_get_cancel(get); /* is void by now */
	if (r->free_in_done)
		r->fixture->client = http_client_free(r->fixture->client);
}

static void get_params(struct fixture *f, struct result *r, struct http_get_params params)
{
	struct err err = ERR_INIT;
	char url[256];
	unsigned port = f->server != NULL ? http_server_port(f->server) : f->script.port;
	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", port, params.url);
	params.url = url;
	r->fixture = f;
	assert_ok(http_client_get(f->client, &params, &ops, r, &r->get, &err));
	assert_int_equal(r->ended, 0);
}

static void wait_for(struct fixture *f, struct result *r)
{
	for (int turns = 0; r->ended == 0 && turns < 2000; turns++)
		turn(f);
	assert_int_equal(r->ended, 1);
}

static void get(struct fixture *f, struct result *r, const char *path, uint64_t off, uint64_t len)
{
	*r = (struct result){0};
	get_params(f, r, (struct http_get_params){.url = path, .off = off, .len = len});
	wait_for(f, r);
}

static void body_is(struct result *r, const char *text)
{
	if (!err_clean(&r->failure))
		fail_msg("%s", r->failure.msg);
	assert_int_equal(r->body.len, strlen(text));
	assert_memory_equal(r->body.data, text, strlen(text));
	buf_done(&r->body);
}

/* It failed so, the "cannot get 'URL': " before it left out. */
static void failed(struct result *r, enum err_kind kind, const char *msg)
{
	const char *cause = strstr(r->failure.msg, "': ");
	assert_non_null(cause);
	assert_int_equal(strncmp(r->failure.msg, "cannot get 'http://127.0.0.1:", 29), 0);
	assert_string_equal(cause + 3, msg);
	assert_int_equal(r->failure.kind, kind);
	buf_done(&r->body);
}

#endif
