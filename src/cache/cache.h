/* SPDX-License-Identifier: MIT */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

/*
 * The chunk cache: memory before a disk. Memory is a segmented LRU of verified chunks. The disk is
 * one file or partition, a log of zones (docs/formats/cache.md), read and written by a helper
 * process, so that a disk that hangs or fails stalls nobody: it is then a cache that has nothing.
 * Nothing on a disk is believed: what is read is hashed before it is handed out, and dropped when
 * it is rotten. So a crash at any moment costs at most what was being written.
 */

#include "manifest/chunk.h"

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct cache;
struct cache_lookup; /* one look-up that waits for the disk */

struct cache_params {
	uint64_t memory_max; /* bytes of chunks in memory */
	const char
		*disk; /* partition, or a directory that gets a file "chunks"; NULL: memory only */
	uint64_t disk_max; /* bytes; 0: the partition's size, for a directory a tenth of its disk */
	unsigned disk_ms;  /* a read that takes longer counts as a miss; 0: 500 */
};

/* Bytes of a chunk, shared: a reference keeps them. */
struct cache_chunk {
	struct digest digest;
	uint32_t len;
	uint32_t references;
	uint8_t bytes[];
};
struct cache_chunk *cache_chunk_new(const struct digest *digest, uint32_t len, struct err *err);
struct cache_chunk *cache_chunk_ref(struct cache_chunk *chunk);
struct cache_chunk *cache_chunk_unref(struct cache_chunk *chunk); /* NULL is fine; returns NULL */

/*
 * Opens. What is on the disk becomes known while the loop runs; `ready` is called (maybe at once)
 * when it is, or when the disk turned out unusable, which is logged and no error. ERR_NOMEM,
 * ERR_BUG.
 */
int cache_open(struct event_base *base, const struct cache_params *params,
	void (*ready)(struct cache *cache, void *data), void *data, struct cache **ret,
	struct err *err);
/* Writes out what waits, for at most wait_ms. NULL is fine; returns NULL. */
struct cache *cache_close(struct cache *cache, unsigned wait_ms);

/* A reference to the chunk when it is in memory, else NULL. */
struct cache_chunk *cache_peek(struct cache *cache, const struct digest *digest);
/* True when memory or disk have it, as far as is known. */
bool cache_has(const struct cache *cache, const struct digest *digest);
enum cache_tier { CACHE_MEMORY, CACHE_DISK, CACHE_NONE };
/*
 * Looks up, memory first: `found` is called once, from here for memory and for what is nowhere,
 * else from the loop: with the chunk (verified; the reference is the callee's) and its tier, or
 * with NULL and CACHE_NONE. *ret_lookup is set to NULL when it was called from here.
 */
typedef void cache_found_fn(struct cache_chunk *take_chunk, enum cache_tier tier, void *data);
int cache_get(struct cache *cache, const struct digest *digest, uint32_t len, cache_found_fn *found,
	void *data, struct cache_lookup **ret_lookup, struct err *err);
void cache_lookup_cancel(struct cache_lookup *lookup);
/* Takes a verified chunk in; the caller keeps its reference. Never fails: at worst it is not kept.
 */
void cache_put(struct cache *cache, struct cache_chunk *chunk);
/*
 * Pins: what stays as long as there is anything else to evict. A closure's chunks are many, so they
 * are named as a sorted array that the caller keeps; replaces the set before.
 */
void cache_pin(struct cache *cache, const struct digest *sorted, size_t count);

/* A small named file beside the chunks (the newest serial, a profile); empty without a disk.
 * At most 64 KiB; replaced as a whole. The answer comes from what was loaded at the start; it is
 * never NULL, empty when there is none, and lives until the note is set again. */
const struct buf *cache_note(const struct cache *cache, const char *name);
void cache_note_set(struct cache *cache, const char *name, const void *bytes, size_t len);

/* One bit per bucket (swarm/rendezvous.h) that holds at least one chunk. */
#define CACHE_BUCKETS 1024
void cache_inventory(const struct cache *cache, uint8_t bits[CACHE_BUCKETS / 8]);

struct cache_stat {
	uint64_t memory_bytes, disk_bytes, disk_max;
	uint64_t memory_chunks, disk_chunks;
	uint64_t memory_hits, disk_hits, misses, evicted, rotten, disk_slow, disk_errors;
	uint64_t disk_waiting; /* bytes in memory that are to be written */
	bool disk_usable;
};
void cache_stat(const struct cache *cache, struct cache_stat *ret);

#endif
