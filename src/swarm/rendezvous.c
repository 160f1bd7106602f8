/* SPDX-License-Identifier: MIT */
/*
 * Highest random weight over a bounded set of candidates. The set is small, so ranks are found by
 * looking at each candidate: some hundred nanoseconds, and nothing to keep when members change.
 */
#include "swarm/rendezvous.h"

#include "base/bytes.h"

/* The finalizer of SplitMix64 (Steele, Lea, Flood 2014): every bit of v changes half of all bits.
 * Digests are not needed here: an attacker who may choose its id is stopped by the join token. */
static uint64_t mix(uint64_t v)
{
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9;
	v = (v ^ v >> 27) * 0x94d049bb133111eb;
	return v ^ v >> 31;
}

static uint64_t place(const struct node_id *id)
{
	return mix(get_le64(id->bytes) ^ mix(get_le64(id->bytes + 8)));
}

uint64_t rendezvous_weight(unsigned bucket, const struct node_id *id)
{
	return mix(place(id) ^ mix(bucket + 0x9e3779b97f4a7c15));
}

/* By mixed ids, since ids that derive from serial numbers are not spread evenly. */
static bool candidate_before(const struct member *a, const struct member *b)
{
	uint64_t pa = place(&a->id), pb = place(&b->id);
	return pa != pb ? pa < pb : memcmp(&a->id, &b->id, sizeof(a->id)) < 0;
}

void homes_add(struct homes *homes, const struct member *member)
{
	size_t at = homes->len;
	while (at > 0 && candidate_before(member, homes->items[at - 1]))
		at--;
	if (at == HOMES_MAX)
		return;
	if (homes->len < HOMES_MAX)
		homes->len++;
	memmove(&homes->items[at + 1], &homes->items[at],
		(homes->len - 1 - at) * sizeof(homes->items[0]));
	homes->items[at] = member;
}

size_t homes_ranks(
	const struct homes *homes, unsigned bucket, const struct member **ret, size_t max)
{
	uint64_t weights[HOMES_MAX];
	size_t len = 0;
	for (size_t i = 0; i < homes->len && max > 0; i++) {
		const struct member *member = homes->items[i];
		uint64_t weight = rendezvous_weight(bucket, &member->id);
		if (len == max && weight <= weights[len - 1])
			continue;
		size_t at = len < max ? len++ : len - 1;
		for (; at > 0 && weights[at - 1] < weight; at--) {
			weights[at] = weights[at - 1];
			ret[at] = ret[at - 1];
		}
		weights[at] = weight;
		ret[at] = member;
	}
	return len;
}
