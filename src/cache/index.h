/* SPDX-License-Identifier: MIT */
#ifndef CACHE_INDEX_H
#define CACHE_INDEX_H

/*
 * What is where on the disk, in the node's memory: 36 bytes or less for each chunk. And the choice
 * of the zone to give up. No I/O.
 */

#include "base/err.h"
#include "cache/cache.h"
#include "cache/layout.h"
#include "cache/pins.h"

#define INDEX_NONE UINT32_MAX

struct index_entry {
	uint8_t key[CACHE_KEY_SIZE]; /* the digest's first bytes */
	uint32_t block;              /* from the first zone on, in LAYOUT_BLOCK */
	uint32_t len : 24;
	uint32_t hot : 1; /* read since it was written here */
	uint32_t pinned : 1;
	uint32_t next;      /* in its bucket, or of the free ones */
	uint32_t zone_next; /* in its zone */
};

struct index_zone {
	uint64_t sequence; /* grows with each zone that is begun; 0: holds nothing */
	uint32_t used;     /* bytes of records */
	uint32_t count;    /* records, dead ones too: what a summary must hold */
	uint32_t first;    /* entry */
	uint32_t live_bytes;
	uint32_t keep_bytes;   /* of hot and pinned records */
	uint32_t pinned_bytes; /* of pinned ones */
};

struct index {
	uint32_t zone_blocks;
	uint32_t zone_count;
	struct index_zone *zones;
	struct index_entry *entries;
	uint32_t entry_cap, entry_used, entry_free;
	uint32_t *buckets;
	uint32_t bucket_count; /* a power of two */
	uint64_t chunks, bytes;
	uint32_t by_bucket[CACHE_BUCKETS]; /* chunks, for the inventory */
	struct cache_pins pins;
};

/* ERR_NOMEM. */
int cache_index_init(
	struct index *index, uint32_t zone_bytes, uint32_t zone_count, struct err *err);
void cache_index_done(struct index *index);

/* NULL when there is none. Valid until the next call that adds. */
struct index_entry *cache_index_find(const struct index *index, const uint8_t *key);
/* Notes a chunk. Of two copies the one in the younger zone counts. False without memory. */
bool cache_index_add(struct index *index, const uint8_t *key, uint32_t block, uint32_t len);
void cache_index_remove(struct index *index, struct index_entry *entry);
/* The chunk was read: it is kept when its zone is given up. */
void cache_index_touch(struct index *index, struct index_entry *entry);
void cache_index_pin(struct index *index, const struct cache_pins *pins);

static inline uint32_t index_zone_of(const struct index *index, const struct index_entry *entry)
{
	return entry->block / index->zone_blocks;
}

/* Forgets what is in a zone, and the zone is free; returns how many chunks. */
uint32_t index_empty_zone(struct index *index, uint32_t zone);
/* An entry of a zone to copy before the zone is given up: a pinned one, then, unless only those
 * are asked for, a hot one. NULL when there is none. */
struct index_entry *cache_index_keeper(const struct index *index, uint32_t zone, bool only_pinned);
/*
 * The zone to give up, other than `active`: an old one with few bytes to keep. INDEX_NONE when all
 * are nearly full of pinned chunks.
 */
uint32_t cache_index_victim(const struct index *index, uint32_t active);
/* A zone that holds nothing, or INDEX_NONE. */
uint32_t index_free_zone(const struct index *index);

#endif
