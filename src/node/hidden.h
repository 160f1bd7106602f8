/* SPDX-License-Identifier: MIT */
#ifndef NODE_HIDDEN_H
#define NODE_HIDDEN_H

/*
 * Which chunks are private: never given to a peer. They are known from a catalog and its chunk
 * tables, and of systems of earlier boots, whose chunks a disk still has, from a note beside them.
 */

#include "cache/cache.h"
#include "manifest/catalog.h"
#include "swarm/swarm.h"

struct node_system;

typedef VEC(struct digest) node_digests;

struct node_hidden {
	node_digests digests; /* sorted, distinct: what the swarm was told last */
	bool lost; /* the disk may have private chunks that are not among them: of other systems */
};

void node_hidden_done(struct node_hidden *hidden);
/* Reads the note. To be called once. */
int node_hidden_load(struct node_hidden *hidden, const struct cache *cache, struct err *err);
/* Hides these as well as those before, and notes them. */
int node_hidden_tell(struct node_hidden *hidden, const node_digests *more, struct cache *cache,
	struct swarm *swarm, struct err *err);

/* The trees and chunk tables of private members; the chunks of private segments. */
int node_hidden_of_catalog(const struct catalog *catalog, node_digests *out, struct err *err);
int node_hidden_of_system(const struct node_system *system, node_digests *out, struct err *err);

#endif
