/* SPDX-License-Identifier: MIT */
/*
 * The bytes of an answer on their way out: memory by send(), files by sendfile(), one piece at a
 * time, so that the kernel's socket buffer is the only queue.
 */
#include "http/connection.h"

#include "base/fd.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <unistd.h>

/* Answers up to this size do not wait for a turn: a status is wanted most when much is going on. */
#define UNPACED_BYTES 4096
/* What one turn of the loop may send to one client before the others get theirs. */
#define TURN_BYTES ((uint64_t)1 << 20)
/* Answers from this size on leave in full packets alone, which wakes the other side less often. */
#define CORKED_BYTES ((uint64_t)256 << 10)

void http_connection_close_file(struct http_connection *c)
{
	fd_close_ptr(&c->file);
	c->file_path = NULL;
}

int http_connection_open(struct http_connection *c, const struct http_piece *piece, struct err *err)
{
	if (piece->kind != HTTP_PIECE_FILE || c->file_path == piece->path)
		return 0;
	http_connection_close_file(c);
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
	if (http_connection_open(c, piece, err) < 0)
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

/* A saving only, and none on a unix socket. The end must not be held back. */
static void set_cork(struct http_connection *c, int on)
{
	if (c->corked == (on != 0))
		return;
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
	c->corked = on != 0;
}

static void next_piece(const struct http_exchange *x, struct http_piece *ret)
{
	uint64_t left = x->body_len - x->body_sent;
	x->body->ops->piece_at(x->body, x->response.off + x->body_sent, ret);
	if (ret->len > left)
		ret->len = left;
}

int http_connection_send(struct http_connection *c, struct err *err)
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
	uint64_t turn = c->paced && c->allowance < TURN_BYTES ? c->allowance : TURN_BYTES;
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
		if (c->paced)
			c->allowance -= n;
	}
	if (x->body_sent < x->body_len)
		return 0;
	set_cork(c, 0);
	return 1;
}

static void on_turn(struct pacer_client *turns, uint32_t bytes)
{
	struct http_connection *c =
		(struct http_connection *)((char *)turns - offsetof(struct http_connection, turns));
	c->allowance += bytes;
	event_add(c->writable, NULL);
}

void http_connection_pace(struct http_connection *c, const struct sockaddr *peer)
{
	pacer_client_init(&c->turns, peer, on_turn);
}

void http_connection_begin_turns(struct http_connection *c)
{
	struct pacer *pacer = http_server_config(c->server)->pacer;
	uint64_t len = c->exchange.body_len;
	c->paced = pacer != NULL && len > UNPACED_BYTES;
	if (c->paced)
		http_connection_await_turn(c);
	else
		event_add(c->writable, NULL);
	/* Turns may be far apart. */
	set_cork(c, !c->paced && len >= CORKED_BYTES);
	if (pacer != NULL && !c->paced)
		pacer_spend(pacer, len);
}

void http_connection_await_turn(struct http_connection *c)
{
	if (!c->paced || c->allowance > 0)
		return;
	event_del(c->writable);
	c->starved = true;
	pacer_wait(http_server_config(c->server)->pacer, &c->turns);
}

void http_connection_end_turns(struct http_connection *c)
{
	struct pacer *pacer = http_server_config(c->server)->pacer;
	if (c->paced) {
		pacer_leave(pacer, &c->turns);
		pacer_return(pacer, c->allowance);
	}
	c->paced = c->starved = false;
	c->allowance = 0;
}
