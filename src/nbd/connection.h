/* SPDX-License-Identifier: MIT */
#ifndef NBD_CONNECTION_H
#define NBD_CONNECTION_H

/* What the parts of one connection share; not for users of the server. */

#include "nbd/server.h"

#include <event2/event.h>
#include <stddef.h>
#include <sys/queue.h>

/* An option's data: the longest name (4096 bytes by the protocol) and what stands beside it. */
#define NBD_OPTION_MAX 8192u
#define NBD_HEAD_MAX 20 /* bytes before the data of a reply: 16 of a read's, 20 of an option's */

enum nbd_phase {
	NBD_PHASE_FLAGS,   /* the client's 4 bytes of flags are due */
	NBD_PHASE_OPTIONS, /* newstyle negotiation */
	NBD_PHASE_REQUESTS,
	NBD_PHASE_LAST, /* nothing more is read; what is queued goes out, then it ends */
};

/* A reply, and before that the read that waits for it. */
struct nbd_read {
	TAILQ_ENTRY(nbd_read) entry;
	struct nbd_connection *connection;
	uint64_t cookie;
	size_t cost; /* bytes that count against the connection's bound */
	uint8_t head[NBD_HEAD_MAX];
	size_t head_len, data_len;
	size_t sent; /* of head and data together */
	uint8_t data[];
};

TAILQ_HEAD(nbd_reads, nbd_read);

struct nbd_connection {
	struct event_base *base;
	const struct nbd_export *export;
	struct nbd_listener *listener; /* NULL: somebody else's */
	TAILQ_ENTRY(nbd_connection) entry;
	int fd;
	struct event *readable, *writable, *retry;
	enum nbd_phase phase;
	bool no_zeroes;
	bool taking;  /* works on the input: room that comes needs no other call for it */
	bool closing; /* `closed` runs */
	struct nbd_reads waiting, queue;
	size_t reads, bytes; /* waiting and queued */
	uint64_t skip;       /* bytes of input that are dropped: data of what was refused */
	uint8_t in[NBD_OPTION_MAX + 64];
	size_t in_len;
};

/*
 * Takes one option, or one request, from the `len` bytes at `in`: 1 and *ret_used; 0 when more
 * bytes are needed or no more may be taken now; -1 when the connection must end: ERR_CORRUPT for
 * what is no NBD, ERR_NOMEM.
 */
int nbd_take_option(
	struct nbd_connection *c, const uint8_t *in, size_t len, size_t *ret_used, struct err *err);
int nbd_take_request(
	struct nbd_connection *c, const uint8_t *in, size_t len, size_t *ret_used, struct err *err);

/* A reply with room for `size` bytes of data, among those that wait; NULL with ERR_NOMEM. */
struct nbd_read *nbd_read_new(struct nbd_connection *c, size_t size, struct err *err);
/* Moves it to the queue of what goes out. */
void nbd_read_queue(struct nbd_read *read);

/* Called by a connection that ends. */
void nbd_listener_forget(struct nbd_listener *listener, struct nbd_connection *connection);

/* Transmission flags of every export: HAS_FLAGS, READ_ONLY, CAN_MULTI_CONN. */
#define NBD_EXPORT_FLAGS (1u << 0 | 1u << 1 | 1u << 8)

#endif
