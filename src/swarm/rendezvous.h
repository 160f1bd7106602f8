/* SPDX-License-Identifier: MIT */
#ifndef SWARM_RENDEZVOUS_H
#define SWARM_RENDEZVOUS_H

/*
 * Who is at home for a chunk. Chunks fall into 1,024 buckets by the first ten bits of their digest;
 * every member gets a weight for every bucket, and the members in order of weight are the bucket's
 * ranks: the first is its home, and when that goes the second, who was the next best all along
 * (highest random weight: Thaler and Ravishankar, 1998). Members of one site form one such order.
 *
 * At most HOMES_MAX members of a site, those with the smallest ids, are candidates. So in a swarm
 * of thousands a node keeps links to some dozens of homes, not to everybody.
 */

#include "swarm/message.h"

#define BUCKETS 1024
#define HOMES_MAX 64
#define RANKS 4

static inline unsigned bucket_of(const struct digest *chunk)
{
	return (unsigned)chunk->bytes[0] << 2 | chunk->bytes[1] >> 6;
}

static inline bool inventory_has(const uint8_t inventory[INVENTORY_SIZE], unsigned bucket)
{
	return inventory[bucket / 8] >> (bucket % 8) & 1;
}

/* The weight of a node for a bucket; two nodes' weights compare with rendezvous_before(). */
uint64_t rendezvous_weight(unsigned bucket, const struct node_id *id);

/* The candidates of one site. Zeroed memory is an empty set. */
struct homes {
	const struct member *items[HOMES_MAX];
	size_t len;
};
/* Puts a member among the candidates, unless HOMES_MAX smaller ids are there. */
void homes_add(struct homes *homes, const struct member *member);
/* Ranks of a bucket, best first; returns how many (at most max). Borrowed from the set. */
size_t homes_ranks(
	const struct homes *homes, unsigned bucket, const struct member **ret, size_t max);

#endif
