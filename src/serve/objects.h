/* SPDX-License-Identifier: MIT */
#ifndef SERVE_OBJECTS_H
#define SERVE_OBJECTS_H

/*
 * What a system consists of when it is booted over the network: the objects of the pool that its
 * catalog names, and the chunks that they are cut into. Nothing else of the pool is given out.
 */

#include "manifest/catalog.h"

struct pool;

struct object {
	struct digest digest;
	uint64_t size; /* bytes */
	char *path;    /* file name */
};

/* Where a chunk lies. */
struct chunk_place {
	struct digest digest;
	uint64_t off;    /* in its object */
	uint32_t len;    /* bytes */
	uint32_t object; /* index in objects */
	uint32_t member; /* of the catalog; UINT32_MAX for the piece of a blob */
	uint32_t index;  /* in the member's chunk table */
	bool is_private; /* never to be had from a peer */
};

struct object_set {
	VEC(struct object) objects;     /* sorted by digest, each once */
	VEC(struct chunk_place) chunks; /* sorted by digest, each once */
};

void object_set_done(struct object_set *set);

/*
 * Collects what the catalog (and the blob that it is itself) names. Reads the chunk tables from the
 * pool. ERR_NOT_FOUND, ERR_CORRUPT when the pool lacks one.
 */
int object_set_read(struct pool *pool, const struct catalog *catalog,
	const struct blob *catalog_blob, struct object_set *ret, struct err *err);

/* NULL: not in the set. */
const struct object *object_set_find(const struct object_set *set, const struct digest *digest);
const struct chunk_place *object_set_chunk(
	const struct object_set *set, const struct digest *digest);

/* Reads bytes [off, off + len) of a chunk. Does not verify them: whoever asked does. ERR_IO,
 * ERR_CORRUPT when the file is too short. */
int object_set_load(const struct object_set *set, const struct chunk_place *place, uint32_t off,
	void *data, uint32_t len, struct err *err);

#endif
