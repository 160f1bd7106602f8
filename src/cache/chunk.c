/* SPDX-License-Identifier: MIT */
/* A chunk's bytes, shared by counting references: of the cache, of answers under way, of peers. */
#include "cache/cache.h"

#include <assert.h>
#include <stdlib.h>

struct cache_chunk *cache_chunk_new(const struct digest *digest, uint32_t len, struct err *err)
{
	struct cache_chunk *chunk = malloc(sizeof(*chunk) + len);
	if (chunk == NULL) {
		err_oom(err);
		return NULL;
	}
	chunk->digest = *digest;
	chunk->len = len;
	chunk->references = 1;
	return chunk;
}

struct cache_chunk *cache_chunk_ref(struct cache_chunk *chunk)
{
	assert(chunk->references > 0);
	chunk->references++;
	return chunk;
}

struct cache_chunk *cache_chunk_unref(struct cache_chunk *chunk)
{
	if (chunk != NULL && --chunk->references == 0)
		free(chunk);
	return NULL;
}
