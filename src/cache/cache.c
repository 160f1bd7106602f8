/* SPDX-License-Identifier: MIT */
/*
 * The cache as others see it: memory, then the disk. What comes from the disk goes into memory, and
 * what is put in goes to both. Each tier keeps its own books; this file only passes things on and
 * counts.
 */
#include "cache/cache.h"

#include "base/log.h"
#include "base/mem.h"
#include "cache/disk.h"
#include "cache/memory.h"

#include <stdlib.h>

#define PENDING_MIN (8u << 20) /* bytes that may wait for the disk, besides half the memory */

struct cache {
	struct cache_memory memory;
	struct disk *disk;  /* or NULL */
	struct notes notes; /* without a disk */
	void (*ready)(struct cache *cache, void *data);
	void *ready_data;
	uint64_t memory_hits, disk_hits, misses;
};

struct cache_lookup {
	struct cache *cache;
	struct disk_job *job;
	cache_found_fn *found;
	void *data;
};

static struct cache *cache_free(struct cache *cache, unsigned wait_ms)
{
	disk_free(cache->disk, wait_ms);
	cache_memory_done(&cache->memory);
	notes_done(&cache->notes);
	free(cache);
	return NULL;
}

static void on_disk_ready(void *data)
{
	struct cache *cache = data;
	cache->ready(cache, cache->ready_data);
}

int cache_open(struct event_base *base, const struct cache_params *params,
	void (*ready)(struct cache *cache, void *data), void *data, struct cache **ret,
	struct err *err)
{
	struct cache *cache = calloc(1, sizeof(*cache));
	if (cache == NULL)
		return err_oom(err);
	cache->ready = ready;
	cache->ready_data = data;
	struct disk_params disk = {.path = params->disk,
		.max = params->disk_max,
		.pending_max = params->memory_max / 2 + PENDING_MIN,
		.read_ms = params->disk_ms,
		.ready = on_disk_ready,
		.data = cache};
	if (cache_memory_init(&cache->memory, params->memory_max, err) < 0 ||
		(params->disk != NULL && disk_new(base, &disk, &cache->disk, err) < 0)) {
		cache_free(cache, 0);
		return -1;
	}
	*ret = cache;
	if (cache->disk == NULL)
		ready(cache, data);
	return 0;
}

struct cache *cache_close(struct cache *cache, unsigned wait_ms)
{
	return cache == NULL ? NULL : cache_free(cache, wait_ms);
}

struct cache_chunk *cache_peek(struct cache *cache, const struct digest *digest)
{
	struct cache_chunk *chunk = cache_memory_get(&cache->memory, digest);
	cache->memory_hits += chunk != NULL;
	return chunk;
}

bool cache_has(const struct cache *cache, const struct digest *digest)
{
	return cache_memory_has(&cache->memory, digest) ||
		(cache->disk != NULL && disk_has(cache->disk, digest));
}

static void on_read(struct cache_chunk *take_chunk, void *data)
{
	struct cache_lookup *lookup = data;
	struct cache *cache = lookup->cache;
	cache_found_fn *found = lookup->found;
	void *found_data = lookup->data;
	free(lookup);
	if (take_chunk != NULL) {
		cache->disk_hits++;
		cache_memory_put(&cache->memory, take_chunk);
	} else {
		cache->misses++;
	}
	found(take_chunk, take_chunk != NULL ? CACHE_DISK : CACHE_NONE, found_data);
}

int cache_get(struct cache *cache, const struct digest *digest, uint32_t len, cache_found_fn *found,
	void *data, struct cache_lookup **ret_lookup, struct err *err)
{
	AUTO_FREE struct cache_lookup *lookup = NULL;
	struct cache_chunk *chunk = cache_memory_get(&cache->memory, digest);
	*ret_lookup = NULL;
	if (chunk != NULL && chunk->len == len) {
		cache->memory_hits++;
		found(chunk, CACHE_MEMORY, data);
		return 0;
	}
	cache_chunk_unref(chunk);
	int r = 0;
	if (cache->disk != NULL && disk_has(cache->disk, digest)) {
		if ((lookup = malloc(sizeof(*lookup))) == NULL)
			return err_oom(err);
		*lookup = (struct cache_lookup){.cache = cache, .found = found, .data = data};
		r = disk_read(cache->disk, digest, len, on_read, lookup, &lookup->job, err);
	}
	if (r == 1)
		*ret_lookup = TAKE_PTR(lookup);
	if (r != 0)
		return r < 0 ? -1 : 0;
	cache->misses++;
	found(NULL, CACHE_NONE, data);
	return 0;
}

void cache_lookup_cancel(struct cache_lookup *lookup)
{
	if (lookup == NULL)
		return;
	lookup->job->found = NULL;
	free(lookup);
}

void cache_put(struct cache *cache, struct cache_chunk *chunk)
{
	cache_memory_put(&cache->memory, chunk);
	if (cache->disk != NULL)
		disk_write(cache->disk, chunk);
}

void cache_pin(struct cache *cache, const struct digest *sorted, size_t count)
{
	struct cache_pins pins = {.sorted = sorted, .count = count};
	cache_memory_pin(&cache->memory, &pins);
	if (cache->disk != NULL)
		disk_pin(cache->disk, &pins);
}

const struct buf *cache_note(const struct cache *cache, const char *name)
{
	static const struct buf none;
	const struct note *note =
		notes_find(cache->disk != NULL ? &cache->disk->notes : &cache->notes, name);
	return note != NULL ? &note->bytes : &none;
}

void cache_note_set(struct cache *cache, const char *name, const void *bytes, size_t len)
{
	struct err err = ERR_INIT;
	if (cache->disk != NULL)
		disk_note_set(cache->disk, name, bytes, len);
	else if (notes_set(&cache->notes, name, bytes, len, &err) < 0)
		log_ignored(&err);
}

void cache_inventory(const struct cache *cache, uint8_t bits[CACHE_BUCKETS / 8])
{
	const struct disk *disk = cache->disk;
	bool with_disk = disk != NULL && disk_usable(disk);
	memset(bits, 0, CACHE_BUCKETS / 8);
	for (unsigned i = 0; i < CACHE_BUCKETS; i++) {
		if (cache->memory.by_bucket[i] > 0 || (with_disk && disk->index.by_bucket[i] > 0))
			bits[i / 8] |= (uint8_t)(1 << i % 8);
	}
}

void cache_stat(const struct cache *cache, struct cache_stat *ret)
{
	*ret = (struct cache_stat){
		.memory_bytes = cache->memory.bytes,
		.memory_chunks = cache->memory.count,
		.memory_hits = cache->memory_hits,
		.disk_hits = cache->disk_hits,
		.misses = cache->misses,
		.evicted = cache->memory.evicted,
	};
	const struct disk *disk = cache->disk;
	if (disk == NULL)
		return;
	ret->evicted += disk->evicted;
	ret->rotten = disk->rotten;
	ret->disk_slow = disk->slow;
	ret->disk_errors = disk->io_errors;
	ret->disk_waiting = disk->writer.pending_bytes;
	ret->disk_usable = disk_usable(disk);
	ret->disk_bytes = disk->index.bytes;
	ret->disk_chunks = disk->index.chunks;
	ret->disk_max = (uint64_t)disk->index.zone_count * disk->index.zone_blocks * LAYOUT_BLOCK;
}
