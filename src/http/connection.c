/* SPDX-License-Identifier: MIT */
/*
 * One client, as a small state machine over the events of its socket. Memory goes out by send(),
 * files by sendfile(), one piece at a time; the kernel's socket buffer is the only queue, so a
 * client that does not read costs nothing but its place, and loses it after a while.
 */
#include "http/connection.h"

#include "base/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <time.h>
#include <unistd.h>

/* What one turn of the loop may send to one client before the others get theirs. */
#define TURN_BYTES ((uint64_t)1 << 20)
/* Bytes that the kernel may hold unsent for one client (Linux 3.12, tcp(7)). */
#define UNSENT_BYTES (256 * 1024)
#define LINGER_MS 2000

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

static void close_file(struct http_connection *c)
{
	fd_close_ptr(&c->file);
	c->file_path = NULL;
}

/* Tells the owner how the exchange ended and forgets it. */
static void end_exchange(struct http_connection *c, const char *failure)
{
	struct http_exchange *x = &c->exchange;
	struct http_outcome outcome = {
		.status = x->body != NULL ? x->response.status : 0,
		.len = x->body_len,
		.sent = x->body_sent,
		.elapsed_us = now_us() - x->began_us,
		.failure = failure,
	};
	const struct http_server_config *config = http_server_config(c->server);
	if (config->done != NULL && x->request.path != NULL)
		config->done(x, &outcome, config->data);
	c->answered = true;
	close_file(c);
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

bool http_connection_idle(const struct http_connection *c)
{
	return c->state == HTTP_STATE_READING && c->in_len == 0 && c->answered;
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

/* Opens the piece's file unless it is the one that is open. */
static int open_piece(struct http_connection *c, const struct http_piece *piece, struct err *err)
{
	if (piece->kind != HTTP_PIECE_FILE || c->file_path == piece->path)
		return 0;
	close_file(c);
	if (fd_open(AT_FDCWD, piece->path, O_RDONLY, &c->file, err) < 0)
		return -1;
	posix_fadvise(c->file, (off_t)piece->file_off, (off_t)piece->len, POSIX_FADV_SEQUENTIAL);
	c->file_path = piece->path;
	return 0;
}

/*
 * Sends up to `max` bytes of a piece: 1 and how many, or 0 when the socket takes no more now.
 * ERR_CORRUPT when a file is shorter than its piece says.
 */
static int send_piece(struct http_connection *c, const struct http_piece *piece, uint64_t max,
	uint64_t *ret_sent, struct err *err)
{
	static const uint8_t zeros[64 * 1024];
	bool last = c->exchange.body_sent + piece->len >= c->exchange.body_len;
	int flags = MSG_NOSIGNAL | (last && max >= piece->len ? 0 : MSG_MORE);
	size_t size = piece->len < max ? (size_t)piece->len : (size_t)max;
	off_t off = (off_t)piece->file_off;
	ssize_t n = 0;
	if (open_piece(c, piece, err) < 0)
		return -1;
	switch (piece->kind) {
	case HTTP_PIECE_MEMORY:
		n = send(c->fd, piece->data, size, flags);
		break;
	case HTTP_PIECE_ZERO:
		size = size < sizeof(zeros) ? size : sizeof(zeros);
		n = send(c->fd, zeros, size, flags);
		break;
	case HTTP_PIECE_FILE:
		n = sendfile(c->fd, c->file, &off, size);
		break;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return err_sys(err, "cannot send");
	if (n == 0)
		return err_raise(err, ERR_CORRUPT,
			"'%s' ends before offset %" PRIu64 ", where %" PRIu64 " bytes are expected",
			piece->path, piece->file_off, piece->len);
	*ret_sent = (uint64_t)n;
	return 1;
}

static void next_piece(const struct http_exchange *x, struct http_piece *ret)
{
	uint64_t left = x->body_len - x->body_sent;
	x->body->ops->piece_at(x->body, x->response.off + x->body_sent, ret);
	if (ret->len > left)
		ret->len = left;
}

/* 1: everything is out; 0: more later. */
static int send_some(struct http_connection *c, struct err *err)
{
	struct http_exchange *x = &c->exchange;
	while (x->head_sent < x->head.len) {
		ssize_t n = send(c->fd, x->head.data + x->head_sent, x->head.len - x->head_sent,
			MSG_NOSIGNAL | (x->body_len > 0 ? MSG_MORE : 0));
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n < 0)
			return err_sys(err, "cannot send");
		x->head_sent += (size_t)n;
		c->queued += (uint64_t)n;
	}
	uint64_t turn = TURN_BYTES;
	while (x->body_sent < x->body_len && turn > 0) {
		struct http_piece piece;
		uint64_t n = 0;
		next_piece(x, &piece);
		int r = send_piece(c, &piece, turn, &n, err);
		if (r <= 0)
			return r;
		x->body_sent += n;
		c->queued += n;
		turn -= n;
	}
	return x->body_sent == x->body_len;
}

static void process(struct http_connection *c);

static void on_writable(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	struct http_connection *c = data;
	struct err err = ERR_INIT;
	int r = send_some(c, &err);
	if (r < 0) {
		http_connection_cut(c, err.msg);
		return;
	}
	if (r == 0)
		return;
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
		if (open_piece(c, &piece, err) < 0)
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
	c->state = HTTP_STATE_WRITING;
	event_del(c->readable);
	event_add(c->writable, NULL);
	set_deadline(c, limits(c)->stall_ms);
}

void http_exchange_reply_text(struct http_exchange *x, int status, const char *fmt, ...)
{
	struct err err = ERR_INIT;
	char text[1200];
	va_list ap;
	va_start(ap, fmt);
	int len = vsnprintf(text, sizeof(text) - 1, fmt, ap);
	va_end(ap);
	if (len > (int)sizeof(text) - 2)
		len = (int)sizeof(text) - 2;
	text[len] = '\n';
	struct http_body *body =
		http_body_copy(text, (size_t)len + 1, "text/plain; charset=utf-8", &err);
	if (body != NULL)
		http_exchange_reply(x, status, body);
	else
		give_up(x->connection);
}

const struct http_request *http_exchange_request(const struct http_exchange *x)
{
	return &x->request;
}

const char *http_exchange_peer(const struct http_exchange *x)
{
	return x->connection->peer;
}

void http_exchange_progress(const struct http_exchange *x, uint64_t *ret_sent, uint64_t *ret_len)
{
	*ret_sent = x->body_sent;
	*ret_len = x->body_len;
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
	if (c->state == HTTP_STATE_READING)
		process(c);
}

/* True when the client acknowledged enough since the last look. */
static bool progresses(struct http_connection *c)
{
	int unacked = 0;
	if (ioctl(c->fd, SIOCOUTQ, &unacked) < 0)
		return false;
	uint64_t taken = c->queued - (uint64_t)unacked;
	bool enough = taken - c->taken >= limits(c)->stall_bytes;
	c->taken = taken;
	return enough;
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
		if (progresses(c)) {
			set_deadline(c, limits(c)->stall_ms);
			return;
		}
		http_connection_cut(c, "the client stopped reading");
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
	const void *ip = peer->sa_family == AF_INET6
		? (const void *)&((const struct sockaddr_in6 *)peer)->sin6_addr
		: (const void *)&((const struct sockaddr_in *)peer)->sin_addr;
	inet_ntop(peer->sa_family, ip, c->peer, sizeof(c->peer));
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
