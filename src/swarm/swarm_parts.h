/* SPDX-License-Identifier: MIT */
#ifndef SWARM_SWARM_PARTS_H
#define SWARM_SWARM_PARTS_H

/* What swarm.c (callers, clock) and wire.c (the engine's world) share. */

#include "swarm/engine.h"
#include "swarm/link.h"
#include "swarm/mirror.h"
#include "swarm/swarm.h"

#include <sys/queue.h>

struct evdns_base;

/* One connection, or one mirror: what the engine's link is in reality. */
struct wire {
	struct swarm *swarm;
	struct engine_link *to;
	struct link *link;
	struct mirror *mirror;
	const char *url; /* of an origin; borrowed from the parameters */
	LIST_ENTRY(wire) entry;
};

struct swarm_want {
	struct swarm *swarm;
	struct engine_want *want; /* NULL: it is here */
	struct cache_chunk *chunk;
	enum swarm_source source;
	swarm_got_fn *got;
	void *data;
	TAILQ_ENTRY(swarm_want) entry; /* in `arrived` */
	LIST_ENTRY(swarm_want) wanted; /* in `wants`, before */
};

/* A look-up in the cache for somebody else. */
struct load {
	struct swarm *swarm;
	uint64_t ticket;
	struct cache_lookup *lookup; /* NULL: answered */
	struct cache_chunk *chunk;
	LIST_ENTRY(load) entry;
};

struct swarm {
	struct event_base *base;
	struct http_client *client;
	struct cache *cache;
	struct evdns_base *dns;
	struct strvec origins;
	struct engine *engine;
	struct event *tick;
	LIST_HEAD(, wire) wires;
	LIST_HEAD(, load) loads;    /* that wait for the disk */
	LIST_HEAD(, load) answered; /* not told to the engine yet */
	LIST_HEAD(, swarm_want) wants;
	TAILQ_HEAD(, swarm_want) arrived;
	const struct digest *hidden;
	size_t hidden_len;
	bool knows_hidden;
	bool running; /* within run(): what is added is seen */
};

extern const struct engine_ops swarm_engine_ops;
extern const struct link_ops swarm_link_ops;

uint64_t swarm_now_us(void);
/* Does all that is due, and comes back when more is. */
void swarm_run(struct swarm *swarm);
/* From a caller of ours: what follows happens in the loop. */
void swarm_run_soon(struct swarm *swarm);
struct wire *swarm_wire_new(struct swarm *swarm, struct engine_link *to); /* NULL: memory */
void swarm_wire_free(struct wire *wire);

#endif
