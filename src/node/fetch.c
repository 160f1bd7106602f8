/* SPDX-License-Identifier: MIT */
/*
 * The order of the sources for one chunk. Deciding among peers and origins is the swarm's business;
 * what the bytes are for is the caller's.
 */
#include "node/fetch.h"

#include "base/log.h"

#include <time.h>

const char *const node_tier_names[NODE_TIERS] = {"memory", "disk", "peer", "origin"};

uint64_t node_clock_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void node_tier_count(struct node_tier_stat *stat, uint64_t microseconds)
{
	unsigned bin = 0;
	while (bin < SWARM_BINS - 1 && microseconds >= 16ull << bin)
		bin++;
	stat->reads++;
	stat->microseconds += microseconds;
	stat->latency[bin]++;
}

/* Ends the fetch before the callback, which may free or reuse it. */
static void finish(struct node_fetch *fetch, struct cache_chunk *take_chunk, enum node_tier tier)
{
	fetch->sources = NULL;
	fetch->fetched(take_chunk, tier, fetch->data);
}

static void on_got(struct cache_chunk *take_chunk, enum swarm_source source, void *data)
{
	struct node_fetch *fetch = data;
	fetch->want = NULL;
	finish(fetch, take_chunk, source == SWARM_PEER ? NODE_PEER : NODE_ORIGIN);
}

static void on_found(struct cache_chunk *take_chunk, enum cache_tier tier, void *data)
{
	struct node_fetch *fetch = data;
	struct err err = ERR_INIT;
	fetch->lookup = NULL;
	if (take_chunk != NULL) {
		finish(fetch, take_chunk, tier == CACHE_MEMORY ? NODE_MEMORY : NODE_DISK);
		return;
	}
	if (swarm_want(fetch->sources->swarm, &fetch->chunk, fetch->priority, on_got, fetch,
		    &fetch->want, &err) == 0)
		return;
	log_error("%s", err.msg);
	finish(fetch, NULL, NODE_ORIGIN);
}

void node_fetch(struct node_fetch *fetch, struct node_sources *sources, const struct chunk *chunk,
	enum swarm_priority priority, node_fetched_fn *fetched, void *data)
{
	struct err err = ERR_INIT;
	struct cache_lookup *lookup = NULL;
	*fetch = (struct node_fetch){.sources = sources,
		.chunk = *chunk,
		.priority = priority,
		.fetched = fetched,
		.data = data};
	/* The fetch may be gone when this returns, unless a look-up is left. */
	if (cache_get(sources->cache, &chunk->digest, chunk->len, on_found, fetch, &lookup, &err) <
		0) {
		log_error("%s", err.msg);
		finish(fetch, NULL, NODE_MEMORY);
		return;
	}
	if (lookup != NULL)
		fetch->lookup = lookup;
}

void node_fetch_cancel(struct node_fetch *fetch)
{
	if (fetch->sources == NULL)
		return;
	if (fetch->lookup != NULL)
		cache_lookup_cancel(fetch->lookup);
	if (fetch->want != NULL)
		swarm_want_cancel(fetch->want);
	fetch->sources = NULL;
}
