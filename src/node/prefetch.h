/* SPDX-License-Identifier: MIT */
#ifndef NODE_PREFETCH_H
#define NODE_PREFETCH_H

/*
 * Fetches ahead of the reads: by the boot profile, in its order; then, when asked to, whatever else
 * the system has, so that the machine outlives its origin. Reads go before it, always: that is what
 * priorities are for (swarm/swarm.h).
 */

#include "http/client.h"
#include "node/fetch.h"
#include "node/system.h"

struct node_config;
struct node_prefetch;

enum node_prefetch_step {
	NODE_PREFETCH_ASK,      /* for the profile */
	NODE_PREFETCH_PROFILE,  /* what it names */
	NODE_PREFETCH_COMPLETE, /* everything */
	NODE_PREFETCH_DONE,
};

struct node_prefetch_stat {
	enum node_prefetch_step step;
	size_t profile_entries; /* of the profile that is used; 0: there is none */
	uint64_t done, total;   /* bytes of the step */
	uint64_t chunks;        /* fetched ahead, in all */
	bool complete;          /* everything is held */
	bool full;              /* stopped, since the cache holds no more */
};

/* Everything in here outlives the prefetch. */
struct node_prefetch_params {
	struct event_base *base;
	const struct node_config *config;
	struct http_client *client;
	struct node_sources *sources;
	const struct node_system *system;
	/* A step began, got on by a percent, or ended. */
	void (*progress)(const struct node_prefetch_stat *stat, void *data);
	void *data;
};
int node_prefetch_new(
	const struct node_prefetch_params *params, struct node_prefetch **ret, struct err *err);
struct node_prefetch *node_prefetch_free(struct node_prefetch *prefetch);
const struct node_prefetch_stat *node_prefetch_stat(const struct node_prefetch *prefetch);
/* The profile as it came, for neighbours; empty without one. */
const struct buf *node_prefetch_profile(const struct node_prefetch *prefetch);

#endif
