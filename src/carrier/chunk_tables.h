/* SPDX-License-Identifier: MIT */
#ifndef CARRIER_CHUNK_TABLES_H
#define CARRIER_CHUNK_TABLES_H

/* Where segments are cut into chunks, and the hashes of those, as objects of the pool. */

#include "manifest/chunk.h"
#include "pool/pool.h"

/*
 * Cuts a segment along the blocks of its tree: a chunk is one block, or several in a row up to
 * CHUNK_MERGE bytes. Fills ret->starts, object and size; hashes nothing. The tree is checked, and
 * its segment is not empty. ERR_CORRUPT.
 */
int chunk_table_cut(const struct tree *tree, struct chunk_table *ret, struct err *err);

/*
 * The chunk tables of segments, as blobs in the same order (of size 0 for an empty segment) that
 * the caller owns; looked up in the pool, or made on `jobs` threads (0: all cores) and remembered.
 * All are pinned. ERR_CORRUPT names a segment that is damaged. Progress is in bytes of segments.
 */
int chunk_tables_get(struct pool *pool, const struct pool_segment *segments,
	const struct pool_trees *trees, unsigned jobs, struct progress *progress,
	struct blob **ret_blobs, struct err *err);
void chunk_tables_free(struct blob *blobs, size_t count);

#endif
