/* SPDX-License-Identifier: MIT */
#ifndef POOL_POOL_H
#define POOL_POOL_H

/*
 * The pool: a directory of immutable objects named by the SHA-256 of their content, an index that
 * maps (NAR hash, pool parameters) to the segment and tree of a store path, and a memo that maps
 * keys to derived objects (composed metadata, initramfs bases). Two processes may share one.
 * docs/formats/pool.md describes the files.
 */

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/progress.h"
#include "nix/path_info.h"

#include <stdint.h>

struct pool;

enum pool_flags {
	POOL_READ_ONLY = 1 << 0, /* never writes; a missing pool is ERR_NOT_FOUND */
};

struct pool_params {
	int level;     /* zstd, 1–19 */
	unsigned jobs; /* threads; 0: all cores */
};
#define POOL_LEVEL_DEFAULT 6

/* A store path that the pool has. */
struct pool_segment {
	struct digest data; /* object with the file data; meaningless when data_size is 0 */
	uint64_t data_size; /* bytes */
	struct digest tree; /* object with the tree */
	uint64_t tree_size;
};

/* The default directory: $SNOWBOOT_POOL, else /var/cache/snowboot for root, else below
 * XDG_CACHE_HOME. */
char *pool_default_dir(struct err *err);

/* Opens, and creates unless POOL_READ_ONLY. Removes temporaries that dead processes left. */
int pool_open(const char *dir, enum pool_flags flags, struct pool **ret, struct err *err);
struct pool *pool_close(struct pool *pool); /* NULL is fine; returns NULL */
const char *pool_dir(const struct pool *pool);

/*
 * Makes the segments of all paths of a closure that are not there yet, on all cores, hashing each
 * path as a NAR while it is read: ERR_CORRUPT names a path whose contents differ from the store's
 * record, which is then not packed. What was finished before a failure stays. Progress is in bytes
 * of NAR.
 */
int pool_add(struct pool *pool, const struct closure *closure, const struct pool_params *params,
	struct progress *progress, struct err *err);

/* Looks a store path up by the hash of its NAR: 1 and *ret, or 0. Marks it as used now. */
int pool_find(struct pool *pool, const struct digest *nar_hash, const struct pool_params *params,
	struct pool_segment *ret, struct err *err);

/* The file name of an object, which need not exist; caller owns; NULL with ERR_NOMEM. */
char *pool_object_path(const struct pool *pool, const struct digest *object, struct err *err);
/* Stores bytes as an object (if it is not there) and gives its name. */
int pool_put(struct pool *pool, const void *data, size_t size, struct digest *ret, struct err *err);
/* Reads an object into memory, appended to `out`. ERR_NOT_FOUND, ERR_CORRUPT when it does not match
 * its name. */
int pool_get(struct pool *pool, const struct digest *object, struct buf *out, struct err *err);

/*
 * Keeps objects from gc (also by other processes) until this process ends or closes the pool.
 * ERR_NOT_FOUND when one is not there any more.
 */
int pool_pin(struct pool *pool, const struct digest *objects, size_t count, struct err *err);

/* Derived objects: 1 and the object that was remembered for this key, or 0. */
int pool_memo_get(struct pool *pool, const struct digest *key, struct digest *ret, struct err *err);
int pool_memo_put(
	struct pool *pool, const struct digest *key, const struct digest *object, struct err *err);

#endif
