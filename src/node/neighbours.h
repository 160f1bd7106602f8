/* SPDX-License-Identifier: MIT */
#ifndef NODE_NEIGHBOURS_H
#define NODE_NEIGHBOURS_H

/*
 * Who else is there while no origin keeps the members: then multicast DNS does. It runs as long as
 * there is no tracker, because a swarm with one shows its token and turns the others away.
 */

#include "manifest/key.h"
#include "swarm/swarm.h"

struct event_base;
struct node_neighbours;

/* What is borrowed lives as long as this. ERR_NOMEM. */
struct node_neighbours_params {
	struct event_base *base;
	struct swarm *swarm;
	struct node_id id;
	const public_keys *keys; /* neighbours have one of them, too */
	const char *site;
	uint16_t port; /* ours for peers; 0: none, we only look */
};
int node_neighbours_new(
	const struct node_neighbours_params *params, struct node_neighbours **ret, struct err *err);
/* Says good-bye to them. NULL is fine; returns NULL. */
struct node_neighbours *node_neighbours_free(struct node_neighbours *neighbours);

#endif
