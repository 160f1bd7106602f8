/* SPDX-License-Identifier: MIT */
/*
 * One connection: bytes in and out, and how it ends. What the bytes mean is told in handshake.c and
 * transmission.c. Replies are sent at once when the socket takes them; a failure of that is found
 * by the loop, so that nobody loses the connection under a call of his own.
 */
#include "nbd/connection.h"

#include "base/bytes.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define RETRY_MS 20 /* after memory ran out */
/* What a socket may hold: whole replies go out in one call, without waking us for the rest. */
#define SEND_BUFFER (4 << 20)

struct nbd_read *nbd_read_new(struct nbd_connection *c, size_t size, struct err *err)
{
	struct nbd_read *read = malloc(sizeof(*read) + size);
	if (read == NULL) {
		err_oom(err);
		return NULL;
	}
	*read = (struct nbd_read){.connection = c, .cost = sizeof(*read) + size, .data_len = size};
	TAILQ_INSERT_TAIL(&c->waiting, read, entry);
	c->reads++;
	c->bytes += read->cost;
	return read;
}

uint8_t *nbd_read_buffer(struct nbd_read *read)
{
	return read->data;
}

struct nbd_connection *nbd_read_connection(const struct nbd_read *read)
{
	return read->connection;
}

static void drop(struct nbd_connection *c, struct nbd_reads *list, struct nbd_read *read)
{
	TAILQ_REMOVE(list, read, entry);
	c->reads--;
	c->bytes -= read->cost;
	free(read);
}

/* Sends what the socket takes: 1 when all is out, 0 when some is left, -1 with errno. */
static int send_some(struct nbd_connection *c)
{
	struct nbd_read *read;
	while ((read = TAILQ_FIRST(&c->queue)) != NULL) {
		struct iovec parts[2];
		struct msghdr msg = {.msg_iov = parts};
		if (read->sent < read->head_len)
			parts[msg.msg_iovlen++] = (struct iovec){
				read->head + read->sent, read->head_len - read->sent};
		size_t skip = read->sent > read->head_len ? read->sent - read->head_len : 0;
		if (read->data_len > skip)
			parts[msg.msg_iovlen++] =
				(struct iovec){read->data + skip, read->data_len - skip};
		ssize_t n = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		read->sent += (size_t)n;
		if (read->sent == read->head_len + read->data_len)
			drop(c, &c->queue, read);
	}
	return 1;
}

/* Asks for the events that are due: input unless there is no room, output when some waits. */
static void listen_on(struct nbd_connection *c)
{
	if (c->phase != NBD_PHASE_LAST && c->in_len < sizeof(c->in))
		event_add(c->readable, NULL);
	else
		event_del(c->readable);
	if (!TAILQ_EMPTY(&c->queue))
		event_add(c->writable, NULL);
	else
		event_del(c->writable);
}

void nbd_read_queue(struct nbd_read *read)
{
	struct nbd_connection *c = read->connection;
	bool first = TAILQ_EMPTY(&c->queue);
	TAILQ_REMOVE(&c->waiting, read, entry);
	TAILQ_INSERT_TAIL(&c->queue, read, entry);
	if (first && send_some(c) < 0) {
		event_active(c->writable, EV_WRITE, 1);
		return;
	}
	if (c->in_len > 0 && !c->taking) /* requests may have waited for this room */
		event_active(c->retry, EV_TIMEOUT, 1);
	if (!TAILQ_EMPTY(&c->queue))
		event_add(c->writable, NULL);
}

static void end(struct nbd_connection *c, const struct err *failure)
{
	if (c->closing)
		return;
	c->closing = true;
	if (c->export->closed != NULL)
		c->export->closed(c, failure, c->export->data);
	if (c->listener != NULL)
		nbd_listener_forget(c->listener, c);
	while (!TAILQ_EMPTY(&c->waiting))
		drop(c, &c->waiting, TAILQ_FIRST(&c->waiting));
	while (!TAILQ_EMPTY(&c->queue))
		drop(c, &c->queue, TAILQ_FIRST(&c->queue));
	struct event *const events[] = {c->readable, c->writable, c->retry};
	for (size_t i = 0; i < ARRAY_LEN(events); i++)
		if (events[i] != NULL)
			event_free(events[i]);
	close(c->fd);
	free(c);
}

struct nbd_connection *nbd_connection_free(struct nbd_connection *c)
{
	if (c != NULL)
		end(c, NULL);
	return NULL;
}

/* Drops what belongs to a refused request; true when something is left behind it. */
static bool skip(struct nbd_connection *c)
{
	size_t n = c->skip < c->in_len ? (size_t)c->skip : c->in_len;
	memmove(c->in, c->in + n, c->in_len - n);
	c->in_len -= n;
	c->skip -= n;
	return c->in_len > 0;
}

/* Takes what lies complete in the buffer. */
static int take(struct nbd_connection *c, struct err *err)
{
	int r = 1;
	size_t at = 0;
	c->taking = true;
	while (r == 1 && c->phase != NBD_PHASE_LAST && at < c->in_len && c->skip == 0) {
		size_t used = 0;
		r = c->phase == NBD_PHASE_REQUESTS
			? nbd_take_request(c, c->in + at, c->in_len - at, &used, err)
			: nbd_take_option(c, c->in + at, c->in_len - at, &used, err);
		at += r == 1 ? used : 0;
	}
	c->taking = false;
	memmove(c->in, c->in + at, c->in_len - at);
	c->in_len -= at;
	return r;
}

/*
 * Works on the input. Memory that runs out is no answer to give to a root file system: the request
 * stays where it is and is tried again.
 */
static void process(struct nbd_connection *c)
{
	struct err err = ERR_INIT;
	int r = 1;
	while (r == 1 && c->phase != NBD_PHASE_LAST && skip(c))
		r = take(c, &err);
	if (r < 0 && err.kind != ERR_NOMEM) {
		end(c, &err);
		return;
	}
	if (r < 0) {
		struct timeval tv = {.tv_usec = RETRY_MS * 1000};
		event_del(c->readable);
		event_add(c->retry, &tv);
		return;
	}
	if (c->phase == NBD_PHASE_LAST && TAILQ_EMPTY(&c->queue)) {
		end(c, NULL);
		return;
	}
	listen_on(c);
}

static void on_retry(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	process(data);
}

static void on_readable(evutil_socket_t fd, short what, void *data)
{
	(void)what;
	struct nbd_connection *c = data;
	struct err err = ERR_INIT;
	ssize_t n = recv(fd, c->in + c->in_len, sizeof(c->in) - c->in_len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0)
		err_sys(&err, "cannot receive from the NBD client");
	if (n == 0 && c->in_len > 0)
		err_raise(&err, ERR_CORRUPT, "the NBD client ended in the middle of a request");
	if (n <= 0) {
		end(c, err_clean(&err) ? NULL : &err);
		return;
	}
	c->in_len += (size_t)n;
	process(c);
}

static void on_writable(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	struct nbd_connection *c = data;
	struct err err = ERR_INIT;
	if (send_some(c) < 0) {
		err_sys(&err, "cannot send to the NBD client");
		end(c, &err);
		return;
	}
	process(c);
}

static int greet(struct nbd_connection *c, struct err *err)
{
	struct nbd_read *read = nbd_read_new(c, 0, err);
	if (read == NULL)
		return -1;
	memcpy(read->head, "NBDMAGICIHAVEOPT", 16);
	put_be16(read->head + 16, 3); /* fixed newstyle, no zeroes */
	read->head_len = 18;
	nbd_read_queue(read);
	return 0;
}

int nbd_connection_new(struct event_base *base, int take_fd, bool handshake,
	const struct nbd_export *export, struct nbd_connection **ret, struct err *err)
{
	struct nbd_connection *c = malloc(sizeof(*c));
	if (c == NULL) {
		close(take_fd);
		return err_oom(err);
	}
	memset(c, 0, offsetof(struct nbd_connection, in));
	c->in_len = 0;
	c->base = base;
	c->export = export;
	c->fd = take_fd;
	c->phase = handshake ? NBD_PHASE_FLAGS : NBD_PHASE_REQUESTS;
	TAILQ_INIT(&c->waiting);
	TAILQ_INIT(&c->queue);
	int size = SEND_BUFFER;
	if (setsockopt(take_fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(take_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)); /* a saving
			only */
	c->readable = event_new(base, take_fd, EV_READ | EV_PERSIST, on_readable, c);
	c->writable = event_new(base, take_fd, EV_WRITE | EV_PERSIST, on_writable, c);
	c->retry = event_new(base, -1, 0, on_retry, c);
	if (c->readable == NULL || c->writable == NULL || c->retry == NULL)
		err_oom(err);
	else if (!handshake || greet(c, err) == 0) {
		event_add(c->readable, NULL);
		*ret = c;
		return 0;
	}
	c->export = &(const struct nbd_export){0}; /* nobody hears of what never began */
	end(c, NULL);
	return -1;
}
