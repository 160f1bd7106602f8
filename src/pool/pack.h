/* SPDX-License-Identifier: MIT */
#ifndef POOL_PACK_H
#define POOL_PACK_H

/*
 * Packing one store path: its files become a segment and its names a tree, while the whole is
 * hashed as a NAR. docs/formats/segment.md describes the segment.
 */

#include "pool/crew.h"
#include "pool/object.h"
#include "pool/supply.h"

/* Called now and then with the bytes of files that were read since the last call; may be NULL. */
typedef void pack_progress_fn(void *data, uint64_t bytes);

struct pack_job {
	struct pool *pool;
	const char *path;       /* the store path's own name, for messages */
	const char *real_path;  /* where it can be read */
	struct digest nar_hash; /* what it must be */
	pack_progress_fn *progress;
	void *data;
};

/* What was packed; nothing of it has appeared as an object yet. */
struct packed {
	struct pool_segment segment;
	struct pending data, tree; /* data.temp is NULL when there is no data */
};

/* A store path that comes as a NAR. */
struct pack_nar_job {
	struct pool *pool;
	const struct path_info *info; /* what it must be */
	const struct pool_feed *feed;
	pack_progress_fn *progress;
	void *data;
};

/*
 * Packs a NAR while it comes in, in one pass and to the bytes that pack_path() would make.
 * ERR_CORRUPT when it is none or not the one that it must be, else as the feed fails.
 */
int pack_nar(
	const struct pack_nar_job *job, struct hand *hand, struct packed *ret, struct err *err);

/* ERR_CORRUPT when the NAR has another hash, or when files change meanwhile. */
int pack_path(const struct pack_job *job, struct hand *hand, struct packed *ret, struct err *err);

#endif
