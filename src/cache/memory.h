/* SPDX-License-Identifier: MIT */
#ifndef CACHE_MEMORY_H
#define CACHE_MEMORY_H

/*
 * Chunks in memory: a segmented LRU (probation, protected) beside the pinned ones. The quota is
 * hard: what is put in pushes others out, first those seen once, then those seen again, then pinned
 * ones.
 */

#include "base/err.h"
#include "cache/cache.h"
#include "cache/pins.h"

#include <sys/queue.h>

enum memory_list { MEMORY_PROBATION, MEMORY_PROTECTED, MEMORY_PINNED, MEMORY_LISTS };

struct memory_entry;
TAILQ_HEAD(memory_entries, memory_entry);

struct cache_memory {
	uint64_t max; /* bytes of chunks */
	uint64_t bytes;
	uint64_t protected_bytes;
	struct memory_entries lists[MEMORY_LISTS]; /* most recently used first */
	struct memory_entry **buckets;
	size_t bucket_count; /* a power of two */
	size_t count;
	uint64_t evicted;
	uint32_t by_bucket[CACHE_BUCKETS]; /* chunks, for the inventory */
	struct cache_pins pins;
};

/* ERR_NOMEM. */
int cache_memory_init(struct cache_memory *memory, uint64_t max, struct err *err);
void cache_memory_done(struct cache_memory *memory);

/* A new reference, and the chunk counts as used; NULL when it is not there. */
struct cache_chunk *cache_memory_get(struct cache_memory *memory, const struct digest *digest);
bool cache_memory_has(const struct cache_memory *memory, const struct digest *digest);
/* Takes a reference of its own. A chunk that is there already counts as used. */
void cache_memory_put(struct cache_memory *memory, struct cache_chunk *chunk);
/* Replaces the pins; they must live until they are replaced. */
void cache_memory_pin(struct cache_memory *memory, const struct cache_pins *pins);

/* The bucket of a digest: its first 10 bits. */
static inline unsigned cache_bucket(const uint8_t *digest)
{
	return (unsigned)digest[0] << 2 | digest[1] >> 6;
}

#endif
