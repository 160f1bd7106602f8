/* SPDX-License-Identifier: MIT */
#ifndef SWARM_LINK_H
#define SWARM_LINK_H

/*
 * One connection that speaks frames (message.h), on an event loop. What is queued for the other
 * side is bounded: parts of chunks only go in while there is room, and the kernel is told to keep
 * little that it has not sent (TCP_NOTSENT_LOWAT), so a demand overtakes all but two parts.
 */

#include "swarm/message.h"

#include <sys/socket.h>

struct event_base;
struct evdns_base;
struct link;

/* Called from the loop, never from within a function of this header. */
struct link_ops {
	/* A dialled link is ready: the other side speaks our protocol. */
	void (*up)(struct link *link, void *data);
	/* A frame came. The message is the link's. -1 with *err cuts the connection. */
	int (*message)(
		struct link *link, const struct message *message, void *data, struct err *err);
	/* There is room for parts again, after link_has_room() said no. */
	void (*room)(struct link *link, void *data);
	/*
	 * It ended; nothing is called after this, and the callee frees the link. ERR_AGAIN: may
	 * work later (refused, timeout, closed). ERR_UNSUPPORTED: a web server that does not know
	 * links. ERR_CORRUPT: garbage. ERR_LIMIT: it does not take what is sent.
	 */
	void (*down)(struct link *link, const struct err *why, void *data);
	/* Bytes came, but no whole frame: the other side lives. NULL: nobody wants to know. */
	void (*heard)(struct link *link, void *data);
};

struct link_limits {
	unsigned dial_ms;  /* from the first packet to the end of the upgrade */
	unsigned idle_ms;  /* without a byte from the other side; 0: for ever */
	unsigned stall_ms; /* without a byte taken by it while some wait; 0: 30000 */
	/* Bytes of a frame that it may send, which are kept until it is whole; 0: LINK_FRAME_MAX */
	unsigned frame_max;
};

/* What every link begins with. */
struct link_params {
	struct event_base *base;
	struct link_limits limits;
	const struct link_ops *ops;
	void *data;
};

/* Takes over an accepted connection after its upgrade; `early` is what came behind the request. */
int link_accept(const struct link_params *params, int take_fd, const void *early, size_t early_len,
	struct link **ret, struct err *err);
/* Begins to connect to a node. */
int link_dial(const struct link_params *params, const struct node_address *address,
	struct link **ret, struct err *err);
/* The same to "http://HOST[:PORT]", whose name is resolved by `dns` (NULL: numeric ones only).
 * ERR_USAGE for a URL that is none. */
int link_dial_url(const struct link_params *params, struct evdns_base *dns, const char *url,
	struct link **ret, struct err *err);
/* Closes at once, what is queued is lost. NULL is fine; returns NULL. */
struct link *link_free(struct link *link);

/* Queues a frame. A queue that grows beyond its bound ends the link by `down`. */
void link_send(struct link *link, const struct message *message);
bool link_has_room(struct link *link);
/* The numeric address of the other side, with port 0; all zero when unknown. */
struct node_address link_peer(const struct link *link);
/* Bytes sent and received, less those of chunks. */
uint64_t link_control_bytes(const struct link *link);

#endif
