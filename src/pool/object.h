/* SPDX-License-Identifier: MIT */
#ifndef POOL_OBJECT_H
#define POOL_OBJECT_H

/* Files below objects/, each named by the SHA-256 of its bytes, that appear whole or not at all. */

#include "pool/handle.h"

#define OBJECT_NAME_SIZE (sizeof("objects/ab/") + DIGEST_HEX_SIZE)
/* "objects/<two digits>/<64 digits>", relative to the pool. */
char *object_name(const struct digest *object, char out[OBJECT_NAME_SIZE]);

/* 1 when it is there, 0 when not. */
int object_exists(const struct pool *pool, const struct digest *object, struct err *err);
/* ERR_NOT_FOUND when it is not there. */
int object_size(
	const struct pool *pool, const struct digest *object, uint64_t *ret, struct err *err);
/* Raises ERR_NOT_FOUND with the way out. */
int object_missing(const struct pool *pool, const struct digest *object, struct err *err);

/* An object that is written under a temporary name. */
struct pending {
	char *temp; /* relative to the pool; NULL: there is nothing */
	struct digest object;
};
/* Forgets it, and removes the temporary if it still is one. */
void pending_done(const struct pool *pool, struct pending *pending);
/* Writes bytes as a temporary. */
int pending_write(
	struct pool *pool, const void *data, size_t size, struct pending *ret, struct err *err);

/*
 * Makes objects appear: temporaries to the disk, then renamed, then the directories to the disk.
 * The caller holds the shared lock and keeps it until something refers to them.
 */
int object_appear(struct pool *pool, struct pending *items, size_t count, struct err *err);

#endif
