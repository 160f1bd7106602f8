/* SPDX-License-Identifier: MIT */
#ifndef TREE_LAYOUT_H
#define TREE_LAYOUT_H

/* Where things lie in an encoded tree (docs/formats/tree.md); for the reader and the writer. */

#include "tree/tree.h"

#define TREE_MAGIC "SBTREE\0\1" /* the last byte is the version */
#define TREE_MAGIC_SIZE 8

enum {
	TREE_OFF_MAGIC = 0,
	TREE_OFF_SEGMENT = 8,       /* SHA-256 */
	TREE_OFF_SEGMENT_SIZE = 40, /* u64 */
	TREE_OFF_BODY_SIZE = 48,    /* u64 */
	TREE_OFF_DIRECTORIES = 56,  /* u32 */
	TREE_OFF_FILES = 60,        /* u32 */
	TREE_OFF_SYMLINKS = 64,     /* u32 */
	TREE_OFF_FRAGMENTS = 68,    /* u32 */
	TREE_HEADER_SIZE = 72,
};

#define TREE_FRAGMENT_SIZE 12 /* u64 start, u32 stored size */

/* An entry's first byte: its type, and whether a fragment follows. */
#define TREE_TAG_TYPE 0x07
#define TREE_TAG_FRAGMENT 0x08

/* Data blocks of a file: with a fragment the last, short one is there. */
static inline uint64_t tree_block_count(uint64_t size, bool has_fragment)
{
	return size / TREE_BLOCK_SIZE + (!has_fragment && size % TREE_BLOCK_SIZE != 0);
}

#endif
