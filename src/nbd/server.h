/* SPDX-License-Identifier: MIT */
#ifndef NBD_SERVER_H
#define NBD_SERVER_H

/*
 * The serving side of NBD on one event loop, read-only (NetworkBlockDevice doc/proto.md): the
 * transmission phase for the kernel, on a socket that netlink hands over; with the newstyle
 * handshake before it for QEMU, libnbd and nbd-client. Replies go out in the order in which they
 * are answered, so that a cached read never waits behind a cold one.
 */

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define NBD_READ_MAX (32u << 20) /* bytes of one request; more is answered with EINVAL */

struct event_base;
struct nbd_connection;
struct nbd_read; /* one read that waits for its answer */

struct nbd_export {
	const char *name;    /* newstyle: what clients ask for; "" is always taken, too */
	uint64_t size;       /* bytes */
	uint32_t block_size; /* preferred, bytes: 512 … 4096 */
	/* A read arrived: answer it once, now or later. It lies within the size. Must not free the
	 * connection. */
	void (*read)(struct nbd_read *read, uint64_t off, uint32_t len, void *data);
	/*
	 * The connection ended, whoever ended it: called once for each (NULL: nobody cares).
	 * `failure` is NULL when the client left in order, or the owner cut it. Reads that wait
	 * must not be answered any more; the connection is freed when this returns.
	 */
	void (*closed)(struct nbd_connection *connection, const struct err *failure, void *data);
	void *data;
};

/*
 * Serves on `take_fd` (closed in any case). `handshake` is false for a socket that the kernel has.
 * `export` must live as long as the connection. Unanswered reads are bounded by number and bytes:
 * beyond it no more requests are taken in. ERR_NOMEM, ERR_IO.
 */
int nbd_connection_new(struct event_base *base, int take_fd, bool handshake,
	const struct nbd_export *export, struct nbd_connection **ret, struct err *err);
/* Cuts it (`closed` is called). NULL is fine; returns NULL. */
struct nbd_connection *nbd_connection_free(struct nbd_connection *connection);

/* Where the answer's bytes go: `len` bytes, the caller fills them before nbd_read_answer(). */
uint8_t *nbd_read_buffer(struct nbd_read *read);
/* Answers: errnum 0, or an errno that becomes NBD's. */
void nbd_read_answer(struct nbd_read *read, int errnum);
struct nbd_connection *nbd_read_connection(const struct nbd_read *read);

/*
 * Listens on a unix socket (mode 0600), replacing one that nobody listens on; every client gets the
 * export. ERR_AGAIN when another program listens there, ERR_LIMIT for a path beyond 107 bytes.
 */
struct nbd_listener;
int nbd_listener_new(struct event_base *base, const char *path, const struct nbd_export *export,
	struct nbd_listener **ret, struct err *err);
/* Cuts its connections and removes the socket. NULL is fine; returns NULL. */
struct nbd_listener *nbd_listener_free(struct nbd_listener *listener);

#endif
