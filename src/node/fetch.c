/* SPDX-License-Identifier: MIT */
/*
 * The order of the sources for one chunk. Deciding among peers and origins is the swarm's business;
 * what the bytes are for is the caller's. A disk that was too slow is asked again while the swarm
 * has not delivered: without origin and peers it may be the only source there is.
 */
#include "node/fetch.h"

#include "base/log.h"
#include "node/local.h"

#include <event2/event.h>
#include <time.h>

#define AGAIN_MS 1000

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

static void stop(struct node_fetch *fetch)
{
	if (fetch->lookup != NULL)
		cache_lookup_cancel(fetch->lookup);
	if (fetch->want != NULL)
		swarm_want_cancel(fetch->want);
	if (fetch->again != NULL)
		event_free(fetch->again);
	fetch->lookup = NULL;
	fetch->want = NULL;
	fetch->again = NULL;
	fetch->sources = NULL;
}

/* Ends the fetch before the callback, which may free or reuse it. */
static void finish(struct node_fetch *fetch, struct cache_chunk *take_chunk, enum node_tier tier)
{
	stop(fetch);
	fetch->fetched(take_chunk, tier, fetch->data);
}

static void on_got(struct cache_chunk *take_chunk, enum swarm_source source, void *data)
{
	struct node_fetch *fetch = data;
	fetch->want = NULL;
	finish(fetch, take_chunk, source == SWARM_PEER ? NODE_PEER : NODE_ORIGIN);
}

static void look_up(struct node_fetch *fetch);

static void on_again(evutil_socket_t fd, short what, void *data)
{
	struct node_fetch *fetch = data;
	(void)fd;
	(void)what;
	if (fetch->lookup == NULL)
		look_up(fetch);
}

/* Asks the swarm, once, and looks in the cache from time to time. */
static int ask_swarm(struct node_fetch *fetch, struct err *err)
{
	const struct timeval again = {.tv_sec = AGAIN_MS / 1000, .tv_usec = AGAIN_MS % 1000 * 1000};
	if (fetch->want != NULL)
		return 0;
	fetch->again = event_new(fetch->sources->base, -1, EV_PERSIST, on_again, fetch);
	if (fetch->again == NULL || event_add(fetch->again, &again) < 0)
		return err_oom(err);
	return swarm_want(fetch->sources->swarm, &fetch->chunk, fetch->priority, on_got, fetch,
		&fetch->want, err);
}

/* What a pool has goes into the cache, which is what peers are given from. */
static struct cache_chunk *look_in_pool(const struct node_fetch *fetch, struct err *err)
{
	struct cache_chunk *chunk = NULL;
	if (fetch->sources->pool == NULL ||
		node_local_read(fetch->sources->pool, &fetch->chunk, &chunk, err) <= 0)
		return NULL;
	cache_put(fetch->sources->cache, chunk);
	return chunk;
}

static void on_found(struct cache_chunk *take_chunk, enum cache_tier tier, void *data)
{
	struct node_fetch *fetch = data;
	struct err err = ERR_INIT;
	fetch->lookup = NULL;
	if (take_chunk == NULL && fetch->want == NULL) {
		take_chunk = look_in_pool(fetch, &err);
		tier = CACHE_DISK;
		err_reset(&err); /* of memory: the swarm may still deliver */
	}
	if (take_chunk != NULL) {
		finish(fetch, take_chunk, tier == CACHE_MEMORY ? NODE_MEMORY : NODE_DISK);
	} else if (ask_swarm(fetch, &err) < 0) {
		log_error("%s", err.msg);
		finish(fetch, NULL, NODE_ORIGIN);
	}
}

/* The fetch may be gone when this returns, unless a look-up is left. */
static void look_up(struct node_fetch *fetch)
{
	struct err err = ERR_INIT;
	struct cache_lookup *lookup = NULL;
	if (cache_get(fetch->sources->cache, &fetch->chunk.digest, fetch->chunk.len, on_found,
		    fetch, &lookup, &err) < 0) {
		log_error("%s", err.msg);
		finish(fetch, NULL, NODE_MEMORY);
	} else if (lookup != NULL) {
		fetch->lookup = lookup;
	}
}

void node_fetch(struct node_fetch *fetch, struct node_sources *sources, const struct chunk *chunk,
	enum swarm_priority priority, node_fetched_fn *fetched, void *data)
{
	*fetch = (struct node_fetch){.sources = sources,
		.chunk = *chunk,
		.priority = priority,
		.fetched = fetched,
		.data = data};
	look_up(fetch);
}

void node_fetch_cancel(struct node_fetch *fetch)
{
	if (fetch->sources != NULL)
		stop(fetch);
}
