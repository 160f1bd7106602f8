/* SPDX-License-Identifier: MIT */
/*
 * Whole blobs, piece by piece. Pieces are asked for as demands, since a machine waits for them, and
 * WINDOW at once, so that a thousand small trees take a few round trips and not a thousand.
 */
#include "node/gather.h"

#include <event2/event.h>
#include <string.h>

#define WINDOW 256

struct slot {
	struct node_gather *gather;
	struct node_fetch fetch;
	size_t item, piece;
	bool busy;
};

struct node_gather {
	struct node_sources *sources;
	struct node_gather_item *items;
	size_t count;
	struct node_gather_ops ops;
	struct event *kick; /* takes callbacks out of each other's stack */
	size_t item, piece; /* the next to ask for */
	size_t missing;     /* pieces of all items */
	uint64_t done, total;
	struct err failure;
	struct slot slots[WINDOW];
};

static void kick(struct node_gather *g)
{
	/* By a timer: what event_active() adds runs before the loop looks for input again. */
	static const struct timeval now;
	event_add(g->kick, &now);
}

static int take(struct node_gather *g, const struct slot *slot, const struct cache_chunk *chunk,
	struct err *err)
{
	struct node_gather_item *item = &g->items[slot->item];
	char hex[DIGEST_HEX_SIZE];
	if (chunk == NULL)
		return err_oom(err);
	memcpy(item->data + slot->piece * PIECE_SIZE, chunk->bytes, chunk->len);
	g->done += chunk->len;
	g->missing--;
	if (--item->missing > 0 || item->blob->pieces.len == 1)
		return 0;
	struct digest digest = digest_of(item->data, item->blob->size);
	if (digest_equal(&digest, &item->blob->digest))
		return 0;
	return err_raise(err, ERR_CORRUPT, "object '%s' is not what its pieces make up",
		digest_hex(&item->blob->digest, hex));
}

static void on_fetched(struct cache_chunk *take_chunk, enum node_tier tier, void *data)
{
	struct slot *slot = data;
	struct node_gather *g = slot->gather;
	(void)tier;
	slot->busy = false;
	if (g->failure.kind == ERR_NONE)
		(void)take(g, slot, take_chunk, &g->failure); /* told by step() */
	cache_chunk_unref(take_chunk);
	kick(g);
}

/* The next piece to ask for; false when there are no more. */
static bool next_piece(struct node_gather *g, struct slot *slot)
{
	while (g->item < g->count && g->piece == g->items[g->item].blob->pieces.len) {
		g->item++;
		g->piece = 0;
	}
	if (g->item == g->count)
		return false;
	slot->item = g->item;
	slot->piece = g->piece++;
	return true;
}

static void fill(struct node_gather *g)
{
	for (size_t i = 0; i < WINDOW; i++) {
		struct slot *slot = &g->slots[i];
		if (slot->busy)
			continue;
		if (!next_piece(g, slot))
			return;
		const struct node_gather_item *item = &g->items[slot->item];
		struct chunk chunk = blob_chunk(item->blob, slot->piece);
		chunk.is_private = item->is_private;
		slot->busy = true;
		node_fetch(&slot->fetch, g->sources, &chunk, SWARM_DEMAND, on_fetched, slot);
	}
}

static void step(evutil_socket_t fd, short what, void *data)
{
	struct node_gather *g = data;
	(void)fd;
	(void)what;
	bool failed = g->failure.kind != ERR_NONE;
	if (failed || g->missing == 0) {
		g->ops.done(failed ? &g->failure : NULL, g->ops.data);
		return;
	}
	if (g->ops.progress != NULL)
		g->ops.progress(g->done, g->total, g->ops.data);
	fill(g);
}

/* A blob says how many pieces it has twice: by its size and by their digests. */
static int prepare(struct node_gather *g, struct node_gather_item *item, struct err *err)
{
	const struct blob *blob = item->blob;
	uint64_t pieces = blob->size / PIECE_SIZE + (blob->size % PIECE_SIZE != 0);
	if (pieces != blob->pieces.len)
		return err_raise(err, ERR_CORRUPT, "an object of %llu bytes cannot have %zu pieces",
			(unsigned long long)blob->size, blob->pieces.len);
	item->missing = blob->pieces.len;
	g->missing += blob->pieces.len;
	g->total += blob->size;
	if (blob->size == 0)
		return 0;
	free(item->data);
	item->data = malloc(blob->size);
	return item->data != NULL ? 0 : err_oom(err);
}

int node_gather_new(struct event_base *base, struct node_sources *sources,
	struct node_gather_item *items, size_t count, const struct node_gather_ops *ops,
	struct node_gather **ret, struct err *err)
{
	struct node_gather *g = calloc(1, sizeof(*g));
	if (g == NULL)
		return err_oom(err);
	g->sources = sources;
	g->items = items;
	g->count = count;
	g->ops = *ops;
	for (size_t i = 0; i < WINDOW; i++)
		g->slots[i].gather = g;
	g->kick = event_new(base, -1, 0, step, g);
	int r = g->kick != NULL ? 0 : err_oom(err);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = prepare(g, &items[i], err);
	if (r < 0) {
		node_gather_free(g);
		return -1;
	}
	kick(g);
	*ret = g;
	return 0;
}

struct node_gather *node_gather_free(struct node_gather *gather)
{
	if (gather == NULL)
		return NULL;
	for (size_t i = 0; i < WINDOW; i++)
		node_fetch_cancel(&gather->slots[i].fetch);
	if (gather->kick != NULL)
		event_free(gather->kick);
	free(gather);
	return NULL;
}
