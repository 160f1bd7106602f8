/* SPDX-License-Identifier: MIT */
/*
 * Whom to ask for a chunk. In this order: whom we were told to ask; the chunk's home; when that is
 * ourselves, look aside to those who may have it from before; the origins; when they are gone,
 * whoever is left. A round never asks the same one twice.
 */
#include "swarm/engine_parts.h"

#define HOMES_TRIED 2 /* ranks that are asked to fetch it for us, before we act as its home */
#define ASIDES_MAX 3
#define LAST_RESORT 6 /* more, when no origin answers */
#define FORCES_MAX 3

bool engine_tried(const struct fetch *fetch, const struct peer *peer)
{
	for (unsigned i = 0; i < fetch->tried_len; i++)
		if (fetch->tried[i] == peer)
			return true;
	return false;
}

/* Asking somebody who waits for us would make a circle. */
static bool waits_for_us(const struct fetch *fetch, const struct peer *peer)
{
	for (const struct give *give = fetch->gives; give != NULL; give = give->fetch_next)
		if (give->link->peer == peer)
			return true;
	return false;
}

static bool candidate(const struct fetch *fetch, const struct peer *peer)
{
	return peer != NULL && engine_usable(fetch->engine, peer) && !engine_tried(fetch, peer) &&
		!waits_for_us(fetch, peer);
}

/* Who told us whom to ask is told that it was no good. */
static struct peer *source_named(struct fetch *fetch, uint8_t *ret_flags)
{
	if (fetch->named != NULL) {
		struct peer *named = fetch->named;
		fetch->named = NULL;
		/* Also one that had nothing when we asked before. */
		if (named != NULL && engine_usable(fetch->engine, named) &&
			!waits_for_us(fetch, named)) {
			*ret_flags = REQUEST_ONLY_HELD | REQUEST_NAMED;
			return named;
		}
	}
	/* A hedge is no reason: the named one may well be receiving it. */
	if (fetch->lead != NULL)
		return NULL;
	struct peer *namer = fetch->namer;
	fetch->namer = NULL;
	if (namer == NULL || !engine_usable(fetch->engine, namer) || waits_for_us(fetch, namer) ||
		fetch->forces >= FORCES_MAX)
		return NULL;
	fetch->forces++;
	*ret_flags = REQUEST_FORCE;
	return namer;
}

/* The home, or who stands in for it. *ret_home is set when that is us. */
static struct peer *source_home(struct fetch *fetch, bool *ret_home)
{
	struct engine *engine = fetch->engine;
	const struct member *ranks[RANKS];
	size_t len =
		homes_ranks(engine_homes(engine), bucket_of(&fetch->chunk.digest), ranks, RANKS);
	unsigned tried = 0;
	*ret_home = true;
	for (size_t i = 0; i < len && tried < HOMES_TRIED; i++) {
		if (node_id_equal(&ranks[i]->id, &engine->params.self.id))
			return NULL;
		struct peer *peer = engine_peer_find(engine, &ranks[i]->id);
		if (candidate(fetch, peer)) {
			*ret_home = false;
			return peer;
		}
		tried += peer != NULL && engine_tried(fetch, peer);
	}
	return NULL;
}

/* Somebody whom we gave it to. Not one that we only told whom to ask: it may be waiting for us. */
static struct peer *source_lease(struct fetch *fetch)
{
	struct lease *lease = leases_find(&fetch->engine->leases, &fetch->chunk.digest);
	for (size_t i = 0; lease != NULL && i < LEASE_HOLDERS; i++) {
		struct peer *peer = (struct peer *)(uintptr_t)lease->holders[i].who;
		if (lease->holders[i].complete && candidate(fetch, peer))
			return peer;
	}
	return NULL;
}

/* A member that announced something of the bucket; from a random place on, so that the load is
 * spread. */
static struct peer *source_inventory(struct fetch *fetch)
{
	struct engine *engine = fetch->engine;
	if (engine->inventories == 0)
		return NULL;
	unsigned bucket = bucket_of(&fetch->chunk.digest);
	struct peer *found = NULL;
	unsigned count = 0;
	for (struct peer *peer = engine->peers; peer != NULL; peer = peer->next)
		if (inventory_has(peer->member.inventory, bucket) && candidate(fetch, peer) &&
			engine_random(engine) % ++count == 0)
			found = peer;
	return found;
}

/*
 * Looking aside: before we were its home, a chunk's home was one that ranks behind us and has been
 * a member for longer. What came later than us cannot have been.
 */
static struct peer *source_aside(struct fetch *fetch)
{
	struct engine *engine = fetch->engine;
	if (fetch->asides >= ASIDES_MAX)
		return NULL;
	struct peer *peer = source_lease(fetch);
	if (peer != NULL)
		return peer;
	const struct member *ranks[RANKS];
	size_t len =
		homes_ranks(engine_homes(engine), bucket_of(&fetch->chunk.digest), ranks, RANKS);
	for (size_t i = 0; i < len && i < 3; i++) {
		peer = engine_peer_find(engine, &ranks[i]->id);
		if (peer != NULL && peer->older && candidate(fetch, peer))
			return peer;
	}
	return source_inventory(fetch);
}

static struct peer *source_origin(struct fetch *fetch)
{
	VEC_FOREACH(origin, &fetch->engine->origins) {
		struct peer *peer = *origin;
		bool up = peer->mirror || (peer->link != NULL && peer->link->up);
		if (up && candidate(fetch, peer))
			return peer;
	}
	return NULL;
}

/* No origin answers: whoever has a link to us, or is a rank, may have it all the same. */
static struct peer *source_anybody(struct fetch *fetch)
{
	struct engine *engine = fetch->engine;
	if (fetch->asides >= ASIDES_MAX + LAST_RESORT)
		return NULL;
	struct peer *peer = source_inventory(fetch);
	if (peer != NULL)
		return peer;
	const struct member *ranks[RANKS];
	size_t len =
		homes_ranks(engine_homes(engine), bucket_of(&fetch->chunk.digest), ranks, RANKS);
	for (size_t i = 0; i < len; i++) {
		peer = engine_peer_find(engine, &ranks[i]->id);
		if (candidate(fetch, peer))
			return peer;
	}
	for (peer = engine->peers; peer != NULL; peer = peer->next)
		if (peer->origin < 0 && (peer->is_member || peer->link != NULL) &&
			candidate(fetch, peer) && engine_random(engine) % 4 == 0)
			return peer;
	return NULL;
}

static struct peer *source_peer(struct fetch *fetch, uint8_t *ret_flags)
{
	struct peer *peer = source_named(fetch, ret_flags);
	if (peer != NULL)
		return peer;
	bool home;
	peer = source_home(fetch, &home);
	if (!home) {
		*ret_flags = 0;
		return peer;
	}
	peer = source_aside(fetch);
	if (peer == NULL)
		return NULL;
	fetch->asides++;
	fetch->engine->stat.look_asides++;
	*ret_flags = REQUEST_ONLY_HELD;
	return peer;
}

struct peer *engine_source(struct fetch *fetch, uint8_t *ret_flags)
{
	if (fetch->tried_len == TRIED_MAX)
		return NULL;
	bool peers = fetch->engine->params.peers && !fetch->chunk.is_private;
	struct peer *peer = peers ? source_peer(fetch, ret_flags) : NULL;
	if (peer == NULL) {
		*ret_flags = 0;
		peer = source_origin(fetch);
	}
	if (peer == NULL && peers) {
		*ret_flags = REQUEST_ONLY_HELD;
		peer = source_anybody(fetch);
		fetch->asides += peer != NULL;
	}
	if (peer == NULL)
		return NULL;
	if (!engine_tried(fetch, peer))
		fetch->tried[fetch->tried_len++] = peer;
	if (fetch->priority == SWARM_DEMAND)
		*ret_flags |= REQUEST_DEMAND;
	if (fetch->priority == SWARM_BULK)
		*ret_flags |= REQUEST_BULK;
	return peer;
}
