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
#include "nix/nar.h"
#include "nix/path_info.h"
#include "tree/tree.h"

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

/*
 * As pool_add(), with NARs that a supply brings instead of files on the disk: closure->real_dir is
 * not looked at. ERR_CORRUPT names a NAR that is not what the closure says.
 */
struct pool_supply;
int pool_add_from(struct pool *pool, const struct closure *closure,
	const struct pool_supply *supply, const struct pool_params *params,
	struct progress *progress, struct err *err);

/* Looks a store path up by the hash of its NAR: 1 and *ret, or 0. Marks it as used now. */
int pool_find(struct pool *pool, const struct digest *nar_hash, const struct pool_params *params,
	struct pool_segment *ret, struct err *err);

/*
 * pool_find() for every path of a closure: 1 and segments in the order of closure->items, which the
 * caller owns; or 0 and the index of one that is missing. 1,500 paths take a few milliseconds.
 */
int pool_find_closure(struct pool *pool, const struct closure *closure,
	const struct pool_params *params, struct pool_segment **ret_segments, size_t *ret_missing,
	struct err *err);

/* Trees in memory, in the order they were asked for. */
struct pool_trees {
	struct tree *items;
	size_t len;
	struct buf bytes; /* what the trees point into */
};
#define AUTO_POOL_TREES AUTO(pool_trees_done) struct pool_trees
void pool_trees_done(struct pool_trees *trees);

/*
 * Reads the trees of many segments at once and holds each to its name. ERR_NOT_FOUND or ERR_CORRUPT
 * name the object.
 */
int pool_load_trees(struct pool *pool, const struct pool_segment *segments, size_t count,
	struct pool_trees *ret, struct err *err);

/*
 * Writes the NAR of a segment's store path. What is damaged gives ERR_CORRUPT or another NAR, so
 * who uses it compares its hash.
 */
int pool_write_nar(struct pool *pool, const struct pool_segment *segment,
	const struct nar_sink *sink, struct err *err);

/*
 * Makes `to`, which must not be there, have the names and links of a segment's store path, with
 * empty files that nobody may read. ERR_CORRUPT for a damaged tree.
 */
int pool_lay_out(
	struct pool *pool, const struct pool_segment *segment, const char *to, struct err *err);
/*
 * Gives the files there their contents: `file`, by its name below the store path ("" when that is
 * a file itself), or all of them with NULL. ERR_CORRUPT for damaged data, of which nothing is used;
 * ERR_NOT_FOUND when there is no such file.
 */
int pool_fill_in(struct pool *pool, const struct pool_segment *segment, const char *to,
	const char *file, struct err *err);

/* The file name of an object, which need not exist; caller owns; NULL with ERR_NOMEM. */
char *pool_object_path(const struct pool *pool, const struct digest *object, struct err *err);
/*
 * Stores bytes as an object (if it is not there), pins it, and gives its name. It is on the disk
 * when this returns.
 */
int pool_put(struct pool *pool, const void *data, size_t size, struct digest *ret, struct err *err);
/* Reads an object into memory, appended to `out`. ERR_NOT_FOUND, ERR_CORRUPT when it does not match
 * its name. */
int pool_get(struct pool *pool, const struct digest *object, struct buf *out, struct err *err);

/*
 * Keeps objects from gc (also by other processes) until this process ends or closes the pool.
 * ERR_NOT_FOUND when one is not there any more.
 */
int pool_pin(struct pool *pool, const struct digest *objects, size_t count, struct err *err);

/*
 * Makes a directory beside the objects that goes when this process ends or closes the pool; the
 * caller owns its name.
 */
int pool_scratch(struct pool *pool, char **ret_dir, struct err *err);
/* Removes it before that, with all that is in it. */
void pool_scratch_remove(struct pool *pool, const char *dir);

/* Derived objects: 1 and the object that was remembered for this key, or 0. */
int pool_memo_get(struct pool *pool, const struct digest *key, struct digest *ret, struct err *err);
int pool_memo_put(
	struct pool *pool, const struct digest *key, const struct digest *object, struct err *err);

/* A derived object that is stored and remembered together with others. */
struct pool_derived {
	struct digest key;
	const void *data;
	size_t size;
	struct digest object; /* pool_keep() sets it */
};
/* pool_put() and pool_memo_put() for each, in two trips to the disk for all. */
int pool_keep(struct pool *pool, struct pool_derived *items, size_t count, struct err *err);

/* What the pool holds. */
struct pool_stat {
	uint64_t segments, nar_bytes; /* store paths of the index, and what they measure unpacked */
	uint64_t memos;
	uint64_t objects, object_bytes; /* files */
	uint64_t unused, unused_bytes;  /* of them, those that nothing refers to */
};
int pool_stat(struct pool *pool, struct pool_stat *ret, struct err *err);

/* Receives each problem that pool_verify() finds, as one line. */
typedef void pool_problem_fn(void *data, const char *problem);

struct pool_check {
	bool repair;   /* remove bad objects and rows; they are made again when they are needed */
	unsigned jobs; /* threads; 0: all cores */
	pool_problem_fn *problem; /* called from one thread at a time */
	void *data;
};

/*
 * Hashes every object, and checks that index, trees and segments fit together. 0 also when there
 * are problems, whose number is *ret_problems. Progress is in bytes.
 */
int pool_verify(struct pool *pool, const struct pool_check *check, struct progress *progress,
	uint64_t *ret_problems, struct err *err);

/* What pool_gc() did. */
struct pool_gc_result {
	uint64_t removed, removed_bytes; /* objects */
	uint64_t left_bytes;
};

/*
 * Removes what nothing refers to, then what was not used for longest until the objects measure at
 * most max_bytes. What a process has pinned stays, even if it is more than that.
 */
int pool_gc(struct pool *pool, uint64_t max_bytes, struct pool_gc_result *ret, struct err *err);

#endif
