/* SPDX-License-Identifier: MIT */
/*
 * One client, as a small state machine over the events of its socket. A client that does not read
 * costs nothing but its place (sender.c keeps no queue), and loses it after a while.
 */
#include "http/connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* Bytes that the kernel may hold unsent for one client (Linux 3.12, tcp(7)). */
#define UNSENT_BYTES (256 * 1024)
#define LINGER_MS 2000
#define GRACE_US 250000 /* for a request to come behind its connection, or to go on */

static uint64_t now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static const struct http_limits *limits(const struct http_connection *c)
{
	return &http_server_config(c->server)->limits;
}

static void set_deadline(struct http_connection *c, unsigned ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
	event_add(c->deadline, &tv);
}

/* Tells the owner how the exchange ended and forgets it. */
static void end_exchange(struct http_connection *c, const char *failure)
{
	struct http_exchange *x = &c->exchange;
	struct http_outcome outcome = {
		.status = x->body != NULL || c->upgraded != NULL ? x->response.status : 0,
		.len = x->body_len,
		.sent = x->body_sent,
		.elapsed_us = now_us() - x->began_us,
		.failure = failure,
		/* which happens as soon as the head is out */
		.handed_over = c->upgraded != NULL && x->head_sent == x->head.len,
	};
	const struct http_server_config *config = http_server_config(c->server);
	if (config->done != NULL && x->request.path != NULL)
		config->done(x, &outcome, config->data);
	c->answered = true;
	http_connection_end_turns(c);
	http_connection_close_file(c);
	http_body_release(x->body);
	http_request_done(&x->request);
	buf_done(&x->head);
	*x = (struct http_exchange){.connection = c};
}

static void destroy(struct http_connection *c)
{
	if (c->readable != NULL)
		event_free(c->readable);
	if (c->writable != NULL)
		event_free(c->writable);
	if (c->deadline != NULL)
		event_free(c->deadline);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

void http_connection_cut(struct http_connection *c, const char *failure)
{
	if (c->state == HTTP_STATE_WAITING || c->state == HTTP_STATE_WRITING)
		end_exchange(c, failure);
	http_server_forget(c->server, c);
	destroy(c);
}

void http_connection_reset(struct http_connection *c, const char *failure)
{
	(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
		sizeof(struct linger));
	http_connection_cut(c, failure);
}

/* Nothing that was not read yet lies in the kernel. */
static bool is_silent(const struct http_connection *c)
{
	int unread = 0;
	return ioctl(c->fd, FIONREAD, &unread) == 0 && unread == 0;
}

bool http_connection_idle(const struct http_connection *c)
{
	return c->state == HTTP_STATE_READING && c->in_len == 0 && c->answered && is_silent(c);
}

bool http_connection_asks_nothing(const struct http_connection *c)
{
	bool begins = c->state == HTTP_STATE_READING;
	return c->state == HTTP_STATE_LINGERING ||
		(begins && now_us() - c->heard_us >= GRACE_US && is_silent(c));
}

void http_connection_finish(struct http_connection *c)
{
	c->finish = true;
	if (c->state == HTTP_STATE_READING)
		http_connection_cut(c, NULL);
}

/*
 * Our last byte is out. Closing at once would answer what the client may still send with a reset,
 * and a reset can overtake the answer (RFC 9112, section 9.6).
 */
static void linger(struct http_connection *c)
{
	c->state = HTTP_STATE_LINGERING;
	shutdown(c->fd, SHUT_WR);
	event_add(c->readable, NULL);
	set_deadline(c, LINGER_MS);
}

static void process(struct http_connection *c);

/* The 101 is out: the connection is somebody else's from here on. */
static void hand_over(struct http_connection *c)
{
	int fd = c->fd;
	event_del(c->readable);
	event_del(c->writable);
	event_del(c->deadline);
	end_exchange(c, NULL);
	http_server_forget(c->server, c);
	c->fd = -1;
	c->upgraded(fd, c->in, c->in_len, c->upgraded_data);
	destroy(c);
}

static void on_writable(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	struct http_connection *c = data;
	struct err err = ERR_INIT;
	int r = http_connection_send(c, &err);
	if (r < 0) {
		http_connection_cut(c, err.msg);
		return;
	}
	if (r == 0) {
		http_connection_await_turn(c);
		return;
	}
	if (c->upgraded != NULL) {
		hand_over(c);
		return;
	}
	bool more = c->exchange.response.keep_alive && !c->finish;
	event_del(c->writable);
	end_exchange(c, NULL);
	if (!more) {
		linger(c);
		return;
	}
	c->state = HTTP_STATE_READING;
	process(c);
}

/* Sets the answer up: what the loop then sends, piece by piece. The body is taken on success. */
static int begin_reply(
	struct http_connection *c, int status, struct http_body *body, struct err *err)
{
	struct http_exchange *x = &c->exchange;
	x->response = http_response_decide(&x->request, status, body);
	x->response.keep_alive = x->response.keep_alive && !c->finish;
	buf_clear(&x->head);
	if (http_response_head(&x->response, body, time(NULL), &x->head, err) < 0)
		return -1;
	bool empty = x->request.method == HTTP_HEAD;
	x->body_len = empty ? 0 : x->response.len;
	if (x->body_len > 0) {
		/* A file that cannot be opened is found while the status can still say so. */
		struct http_piece piece;
		body->ops->piece_at(body, x->response.off, &piece);
		if (http_connection_open(c, &piece, err) < 0)
			return -1;
	}
	x->body = body;
	return 0;
}

/* Without the memory for an answer: ends the connection from the loop, where nobody holds it. */
static void give_up(struct http_connection *c)
{
	c->state = HTTP_STATE_WAITING;
	set_deadline(c, 1);
}

/* Everything that follows happens from the loop. */
static void begin_writing(struct http_connection *c)
{
	c->state = HTTP_STATE_WRITING;
	event_del(c->readable);
	http_progress_begin(c);
	http_connection_begin_turns(c);
	set_deadline(c, limits(c)->stall_ms);
}

void http_exchange_reply(struct http_exchange *x, int status, struct http_body *take_body)
{
	struct http_connection *c = x->connection;
	struct err err = ERR_INIT;
	if (begin_reply(c, status, take_body, &err) < 0) {
		http_body_release(take_body);
		if (err.kind == ERR_NOMEM)
			give_up(c);
		else
			http_exchange_reply_text(x, 500, "%s", err.msg);
		return;
	}
	begin_writing(c);
}

static void reply_line(
	struct http_exchange *x, int status, unsigned seconds, const char *fmt, va_list ap)
{
	struct err err = ERR_INIT;
	char text[1200];
	int len = vsnprintf(text, sizeof(text) - 1, fmt, ap);
	if (len > (int)sizeof(text) - 2)
		len = (int)sizeof(text) - 2;
	text[len] = '\n';
	struct http_body *body =
		http_body_copy(text, (size_t)len + 1, "text/plain; charset=utf-8", &err);
	if (body == NULL) {
		give_up(x->connection);
		return;
	}
	body->retry_after = seconds;
	http_exchange_reply(x, status, body);
}

void http_exchange_reply_text(struct http_exchange *x, int status, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	reply_line(x, status, 0, fmt, ap);
	va_end(ap);
}

void http_exchange_reply_later(struct http_exchange *x, unsigned seconds, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	reply_line(x, 503, seconds, fmt, ap);
	va_end(ap);
}

bool http_exchange_wants(const struct http_exchange *x, const char *protocol)
{
	/* An upgrade in HTTP/1.0 is to be ignored (RFC 9110, section 7.8); that version does not
	 * keep connections of itself. */
	return x->request.method == HTTP_GET && x->request.keep_alive &&
		http_request_list_has(&x->request, "connection", "upgrade") &&
		http_request_list_has(&x->request, "upgrade", protocol);
}

void http_exchange_upgrade(
	struct http_exchange *x, const char *protocol, http_upgraded_fn *upgraded, void *data)
{
	struct http_connection *c = x->connection;
	struct err err = ERR_INIT;
	buf_clear(&x->head);
	if (buf_printf(&x->head, &err,
		    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: %s\r\n"
		    "Connection: Upgrade\r\n\r\n",
		    protocol) < 0) {
		give_up(c);
		return;
	}
	x->response.status = 101;
	c->upgraded = upgraded;
	c->upgraded_data = data;
	begin_writing(c);
}

void http_exchange_stream(
	struct http_exchange *x, const char *type, http_upgraded_fn *upgraded, void *data)
{
	struct http_connection *c = x->connection;
	struct err err = ERR_INIT;
	buf_clear(&x->head);
	if (http_response_stream_head(type, time(NULL), &x->head, &err) < 0) {
		give_up(c);
		return;
	}
	x->response.status = 200;
	c->upgraded = upgraded;
	c->upgraded_data = data;
	begin_writing(c);
}

const struct http_request *http_exchange_request(const struct http_exchange *x)
{
	return &x->request;
}

const char *http_exchange_peer(const struct http_exchange *x)
{
	return x->connection->peer;
}

void http_exchange_set_tag(struct http_exchange *x, void *tag)
{
	x->tag = tag;
}

void *http_exchange_tag(const struct http_exchange *x)
{
	return x->tag;
}

/* Answers a head that is none: where the next request would begin is unknown, so it is the last. */
static void refuse(struct http_connection *c, const struct err *err)
{
	int status = err->kind == ERR_LIMIT ? 431 : err->kind == ERR_UNSUPPORTED ? 501 : 400;
	c->finish = true;
	c->state = HTTP_STATE_WAITING;
	http_exchange_reply_text(&c->exchange, status, "%s", err->msg);
}

/* Takes the next request out of what was read, if it is there. */
static void process(struct http_connection *c)
{
	struct err err = ERR_INIT;
	struct http_exchange *x = &c->exchange;
	size_t len = 0;
	int r = c->in_len > 0 ? http_request_parse(c->in, c->in_len, &x->request, &len, &err) : 0;
	if (r == 0) {
		event_add(c->readable, NULL);
		/* The deadline of a head runs from its first byte, that of the first head from the
		 * connection's begin: later bytes do not renew it. */
		if (c->in_len == 0 && c->answered)
			set_deadline(c, limits(c)->idle_ms);
		else if (!c->head_begun)
			set_deadline(c, limits(c)->head_ms);
		c->head_begun = c->in_len > 0 || !c->answered;
		return;
	}
	x->began_us = now_us();
	c->head_begun = false;
	if (r < 0) {
		refuse(c, &err);
		return;
	}
	memmove(c->in, c->in + len, c->in_len - len);
	c->in_len -= len;
	c->state = HTTP_STATE_WAITING;
	event_del(c->deadline);
	event_add(c->readable, NULL); /* whoever leaves while it waits is noticed */
	if (x->request.method == HTTP_OTHER)
		http_exchange_reply_text(x, 405, "only GET and HEAD are served");
	else
		http_server_config(c->server)->handle(x, http_server_config(c->server)->data);
}

static void on_readable(evutil_socket_t fd, short what, void *data)
{
	(void)what;
	struct http_connection *c = data;
	char drop[4096];
	bool lingering = c->state == HTTP_STATE_LINGERING;
	char *to = lingering ? drop : c->in + c->in_len;
	size_t space = lingering ? sizeof(drop) : sizeof(c->in) - c->in_len;
	if (space == 0) { /* pipelined requests fill the buffer: read on after the reply */
		event_del(c->readable);
		return;
	}
	ssize_t n = recv(fd, to, space, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) { /* A client that half-closes while it waits counts as gone. */
		http_connection_cut(c, n < 0 ? strerror(errno) : NULL);
		return;
	}
	if (lingering)
		return;
	c->in_len += (size_t)n;
	c->heard_us = now_us();
	if (c->state == HTTP_STATE_READING)
		process(c);
}

static void on_deadline(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	struct http_connection *c = data;
	switch (c->state) {
	case HTTP_STATE_READING:
		if (c->in_len == 0)
			break;
		c->finish = true;
		c->state = HTTP_STATE_WAITING;
		c->exchange.began_us = now_us();
		http_exchange_reply_text(&c->exchange, 408, "the request did not end in time");
		return;
	case HTTP_STATE_WRITING:
		if (http_progress_suffices(c)) {
			set_deadline(c, limits(c)->stall_ms);
			return;
		}
		http_connection_reset(c, "the client stopped reading");
		return;
	case HTTP_STATE_WAITING:
	case HTTP_STATE_LINGERING:
		break;
	}
	http_connection_cut(c, NULL);
}

struct http_connection *http_connection_new(
	struct http_server *server, int take_fd, const struct sockaddr *peer, struct err *err)
{
	struct http_connection *c = malloc(sizeof(*c));
	if (c == NULL) {
		close(take_fd);
		err_oom(err);
		return NULL;
	}
	memset(c, 0, offsetof(struct http_connection, in));
	memset((char *)c + offsetof(struct http_connection, in_len), 0,
		sizeof(*c) - offsetof(struct http_connection, in_len));
	c->server = server;
	c->fd = take_fd;
	c->file = -1;
	c->exchange.connection = c;
	c->heard_us = now_us();
	if (peer->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)peer)->sin6_addr, c->peer,
			sizeof(c->peer));
	else if (peer->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)peer)->sin_addr, c->peer,
			sizeof(c->peer));
	http_connection_pace(c, peer);
	int unsent = UNSENT_BYTES;
	(void)setsockopt(take_fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent)); /* a
		saving only */
	struct event_base *base = http_server_base(server);
	c->readable = event_new(base, take_fd, EV_READ | EV_PERSIST, on_readable, c);
	c->writable = event_new(base, take_fd, EV_WRITE | EV_PERSIST, on_writable, c);
	c->deadline = event_new(base, -1, 0, on_deadline, c);
	if (c->readable == NULL || c->writable == NULL || c->deadline == NULL) {
		destroy(c);
		err_oom(err);
		return NULL;
	}
	process(c);
	return c;
}
