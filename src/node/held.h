/* SPDX-License-Identifier: MIT */
#ifndef NODE_HELD_H
#define NODE_HELD_H

/*
 * Objects that a node can give to a plain HTTP client: a range of one, when the cache holds all of
 * it. Nothing is fetched for such a client, and nothing private is given.
 */

#include "cache/cache.h"
#include "http/server.h"
#include "node/system.h"

#define NODE_HELD_MAX (64u << 20) /* bytes of one answer, and of all at a time */

struct node_held; /* one answer that is being put together */

/* All answers of one node that are under way or being sent. */
struct node_held_all {
	struct cache *cache;
	uint64_t bytes;
};

/* An object of a system, as far as a node knows: one of both is set. */
struct node_object {
	const struct blob *blob;
	const struct node_segment *segment;
	bool is_private;
};

/* What has that digest; false when the system has no such object. */
bool node_object_find(const struct node_system *system, const struct blob *catalog,
	const struct digest *digest, struct node_object *ret);

/*
 * Answers `exchange`, now or later: what its Range asks for, 404 when not all of it is held, 503
 * when too much is under way. Until then the exchange's tag is what node_held_cancel() takes, to be
 * called when the exchange is over; NULL is fine there.
 */
void node_held_answer(struct node_held_all *all, const struct node_object *object,
	struct http_exchange *exchange);
void node_held_cancel(struct node_held *held);

#endif
