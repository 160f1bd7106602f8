/* SPDX-License-Identifier: MIT */
#ifndef SWARM_LEASES_H
#define SWARM_LEASES_H

/*
 * Who got which chunk from us, or was told whom to ask for it: recent holders, whom the next ones
 * are sent to. Each holder gets two of them at first, so copies spread as a tree. The origin keeps
 * such a table for what it gave out, and every node for what it is the home of.
 *
 * Holders are named by a number that the owner gives, and that it never gives to another one.
 */

#include "manifest/chunk.h"

#include <stdbool.h>

#define LEASE_HOLDERS 16
#define LEASE_FANOUT 2

struct holder {
	uint64_t who;    /* 0: free */
	uint64_t parent; /* whom it was told to ask; 0: us */
	uint8_t sent;    /* how many were sent to it */
	uint8_t forced;  /* how often it came back */
	bool complete;   /* we gave it all of it */
};

struct lease {
	struct digest chunk;
	struct lease *hash_next;
	struct lease *older, *newer;
	unsigned giving; /* transfers of ours under way */
	unsigned given;  /* by us, in all */
	unsigned turn;   /* the holder that the next one replaces */
	struct holder holders[LEASE_HOLDERS];
};

struct leases {
	struct lease **heads; /* hash_size of them */
	size_t hash_size;     /* a power of two */
	struct lease *oldest, *newest;
	size_t len, max;
};

int leases_init(struct leases *leases, size_t max, struct err *err);
void leases_done(struct leases *leases);
/* NULL when there is none. */
struct lease *leases_find(struct leases *leases, const struct digest *chunk);
/* Finds or makes one; the oldest that nobody is given goes when there are too many. NULL: no
 * memory. */
struct lease *leases_get(struct leases *leases, const struct digest *chunk);

/* NULL when it is none. */
struct holder *lease_holder(struct lease *lease, uint64_t who);
/* Makes `who` the most recent holder; in place of the oldest one when there are too many. */
struct holder *lease_add(struct lease *lease, uint64_t who, uint64_t parent);
void lease_drop(struct lease *lease, uint64_t who);

/*
 * Whom to send somebody to: with `complete` only to one that was given all of it by us, and to
 * nobody who was sent to the asker before, even by way of others. Of the holders that `rank` does
 * not refuse (UINT64_MAX), one that has been sent fewer than LEASE_FANOUT, of these the one with
 * the smallest rank; else the one that has been sent the fewest. NULL: nobody is left.
 */
typedef uint64_t lease_rank_fn(uint64_t who, void *data);
struct lease_asker {
	uint64_t who;
	bool complete;
	lease_rank_fn *rank;
	void *data;
};
struct holder *lease_pick(struct lease *lease, const struct lease_asker *asker);

#endif
