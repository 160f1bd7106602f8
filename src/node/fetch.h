/* SPDX-License-Identifier: MIT */
#ifndef NODE_FETCH_H
#define NODE_FETCH_H

/* One chunk, from wherever it is nearest: the cache's memory, its disk, a pool on this machine, a
 * peer, an origin. */

#include "cache/cache.h"
#include "swarm/swarm.h"

enum node_tier { NODE_MEMORY, NODE_DISK, NODE_PEER, NODE_ORIGIN };
#define NODE_TIERS 4
extern const char *const node_tier_names[NODE_TIERS];

/* Reads by where they were answered from. Latencies as in struct swarm_stat: bin i is below 2^i ×
 * 16 µs. */
struct node_tier_stat {
	uint64_t reads, bytes, microseconds;
	uint64_t latency[SWARM_BINS];
};
void node_tier_count(struct node_tier_stat *stat, uint64_t microseconds);

/* Where chunks come from; outlives its fetches. */
struct node_sources {
	struct event_base *base;
	struct cache *cache;
	struct swarm *swarm;
	const char *pool; /* directory of a pool here, or NULL */
};

/* The verified chunk, whose reference is the callee's; NULL: out of memory. Called once, maybe from
 * node_fetch() already. The fetch is over then and may be freed. */
typedef void node_fetched_fn(struct cache_chunk *take_chunk, enum node_tier tier, void *data);

/* On the caller's memory; zeroed: none under way. */
struct node_fetch {
	struct node_sources *sources; /* NULL: not under way */
	struct chunk chunk;
	enum swarm_priority priority;
	node_fetched_fn *fetched;
	void *data;
	struct cache_lookup *lookup;
	struct swarm_want *want;
	struct event *again; /* looks in the cache once more while the swarm has not delivered */
};

/* Begins; it never fails but for memory, since what cannot be had now is asked for until it can. */
void node_fetch(struct node_fetch *fetch, struct node_sources *sources, const struct chunk *chunk,
	enum swarm_priority priority, node_fetched_fn *fetched, void *data);
/* Ends it without calling back. Fine when it is not under way. */
void node_fetch_cancel(struct node_fetch *fetch);

/* CLOCK_BOOTTIME, microseconds. */
uint64_t node_clock_us(void);

#endif
