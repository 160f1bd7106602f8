/* SPDX-License-Identifier: MIT */
#ifndef POOL_UNPACK_H
#define POOL_UNPACK_H

/* A segment and its tree in memory, for what is made of them again: NARs, and files. */

#include "pool/handle.h"

#include "base/vec.h"

#include <zstd.h>

struct directory {
	size_t first; /* of its entries */
	uint32_t count, next;
};

/* An entry, and the directory it stands for. */
struct place {
	struct tree_entry entry;
	size_t directory; /* in `directories` */
};

struct unpacker {
	const struct nar_sink *sink;
	const struct tree *tree;
	VEC(struct directory) directories;
	VEC(struct place) places;
	VEC(size_t)
	open; /* directories: while reading, those without a parent yet; then, the way down */
	struct tree_entry root;
	int fd; /* the segment's data; -1: it has none */
	char *name;
	ZSTD_DCtx *zstd;
	uint8_t *packed, *block, *tail; /* TREE_BLOCK_SIZE bytes each */
	uint32_t tail_fragment;         /* which one is unpacked in `tail` */
	uint32_t tail_len;
};

#define AUTO_UNPACKER AUTO(unpacker_done) struct unpacker
#define UNPACKER_INIT \
	{ \
		.fd = -1, .tail_fragment = TREE_NO_FRAGMENT \
	}

void unpacker_done(struct unpacker *unpacker);
/* Reads the tree, which `trees` then holds and has to outlive the unpacker, and opens the segment.
 */
int unpacker_open(struct unpacker *unpacker, struct pool *pool, const struct pool_segment *segment,
	struct pool_trees *trees, struct err *err);
/* What the file has goes to the sink. */
int unpacker_contents(struct unpacker *unpacker, const struct tree_entry *entry, struct err *err);

#endif
