/* SPDX-License-Identifier: MIT */
#ifndef SERVE_HUB_H
#define SERVE_HUB_H

/*
 * The links of nodes to this origin: sockets, clock and files for the tracker (swarm/tracker.h),
 * which decides everything.
 */

#include "serve/objects.h"
#include "swarm/tracker.h"

struct event_base;
struct pacer;
struct hub;
struct hub_node; /* one connection */

struct hub_ops {
	/* Where a chunk of a served system lies: borrowed, until the next event; NULL: of none. */
	const struct chunk_place *(*find)(
		const struct digest *chunk, const struct object_set **ret_set, void *data);
	/* A node said JOIN, HEARTBEAT, TOUCHES or LEAVE. `address` is where it connects from. */
	void (*heard)(struct hub_node *node, const struct node_address *address,
		const struct message *message, void *data);
	/* Its connection is gone. */
	void (*gone)(struct hub_node *node, void *data);
};

/* `pacer`: borrowed; nodes take turns at it for chunks. NULL: no limit. */
int hub_new(struct event_base *base, struct pacer *pacer, const struct hub_ops *ops, void *data,
	struct hub **ret, struct err *err);
/* Closes all links; `gone` is called for each. NULL is fine; returns NULL. */
struct hub *hub_free(struct hub *hub);

/* Takes over a connection whose upgrade was answered; `early` followed its request. */
void hub_accept(struct hub *hub, int take_fd, const void *early, size_t early_len);

void hub_node_set_user(struct hub_node *node, void *user);
void *hub_node_user(const struct hub_node *node);

unsigned hub_links(const struct hub *hub);
void hub_stat(const struct hub *hub, struct tracker_stat *ret);
/* A live member to fetch boot files from, of that site (NULL: any); NULL: none. */
const struct member *hub_peer(const struct hub *hub, const char *site, uint64_t spread);

/* CLOCK_BOOTTIME, microseconds: the clock of tracker and machines. */
uint64_t hub_now_us(void);

#endif
