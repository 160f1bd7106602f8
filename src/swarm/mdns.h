/* SPDX-License-Identifier: MIT */
#ifndef SWARM_MDNS_H
#define SWARM_MDNS_H

/*
 * Neighbours without a tracker: a node announces itself as a service _snowboot._tcp.local by
 * multicast DNS (RFC 6762, RFC 6763) and learns of others that share a trusted key and the site.
 * It says nothing secret, and proves nothing: what a neighbour sends is verified like everything.
 */

#include "base/err.h"
#include "swarm/mdns_message.h"

struct event_base;
struct mdns;

struct mdns_params {
	struct node_id id;
	struct mdns_swarm swarms[MDNS_SWARMS_MAX]; /* of each trusted key */
	unsigned swarm_count;
	uint16_t port; /* that others are told; 0: only looks for others */
};

/* Called from the loop; mdns_free() is not for in there. */
struct mdns_ops {
	/* A neighbour is there, or is at another address now. */
	void (*found)(const struct node_id *id, const struct node_address *address, void *data);
	/* It said good-bye or was not heard of for two minutes. */
	void (*lost)(const struct node_id *id, void *data);
};

/*
 * Works on all interfaces of this network namespace that can multicast, also on those that come
 * later. ERR_IO, ERR_AGAIN when somebody has port 5353 for himself; ERR_NOMEM.
 */
int mdns_new(struct event_base *base, const struct mdns_params *params, const struct mdns_ops *ops,
	void *data, struct mdns **ret, struct err *err);
/* Says good-bye. NULL is fine; returns NULL. */
struct mdns *mdns_free(struct mdns *mdns);

#endif
