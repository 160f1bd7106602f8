/* SPDX-License-Identifier: MIT */
#ifndef SWARM_STAT_H
#define SWARM_STAT_H

/* What the engine and the swarm around it have in common: priorities, sources, counters. */

#include <stdbool.h>
#include <stdint.h>

enum swarm_source { SWARM_PEER, SWARM_ORIGIN };
/* The higher goes first, always. */
enum swarm_priority { SWARM_BULK, SWARM_PREFETCH, SWARM_DEMAND };
#define SWARM_PRIORITIES 3

#define SWARM_BINS 24 /* bin i counts latencies below 2^i × 16 µs */
struct swarm_stat {
	uint64_t peer_bytes, origin_bytes; /* received, verified */
	uint64_t peer_chunks, origin_chunks;
	uint64_t wasted_bytes; /* received and not used: hedges, wrong chunks */
	uint64_t uploaded_bytes, uploaded_chunks;
	uint64_t hedges, redirects, lease_waits, look_asides, corrupt, timeouts, quarantines;
	uint64_t circles;       /* of nodes that waited for each other, broken up by us */
	uint64_t control_bytes; /* sent and received, everything but chunks */
	uint64_t peer_latency[SWARM_BINS], origin_latency[SWARM_BINS]; /* of demands */
	unsigned members, links;
	uint64_t epoch;
	bool origin_up;
	bool tracked;     /* an origin keeps the members */
	unsigned waiting; /* wants without a transfer under way */
};

#endif
