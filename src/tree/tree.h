/* SPDX-License-Identifier: MIT */
#ifndef TREE_TREE_H
#define TREE_TREE_H

/*
 * A tree: the segment's companion. Names, types, executable bits, symlink targets, sizes, block
 * sizes and fragment places of one store path. docs/formats/tree.md describes the bytes.
 *
 * Directories are stored in post-order (subdirectories before what holds them, names sorted by
 * bytes), so that a composer emits metadata in one pass with a small stack: when a directory with k
 * subdirectories comes by, the last k directories that nobody has claimed are its own, in the order
 * of their names.
 */

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define TREE_BLOCK_SIZE (128u * 1024) /* bytes of a full data block before compression */
#define TREE_BLOCK_RAW (1u << 24)     /* in a block size: stored uncompressed (squashfs, dinode) */
#define TREE_NO_FRAGMENT UINT32_MAX
#define TREE_NAME_MAX 255    /* bytes of a name (Linux NAME_MAX) */
#define TREE_TARGET_MAX 4095 /* bytes of a symlink's target (Linux PATH_MAX less the NUL) */

enum tree_type { TREE_DIRECTORY = 1, TREE_FILE, TREE_EXECUTABLE, TREE_SYMLINK };

/* One name in a directory, or the root of the tree (whose name is empty). */
struct tree_entry {
	enum tree_type type;
	const char *name; /* not NUL-terminated; lives as long as the tree's bytes */
	uint32_t name_len;
	const char *target; /* symlink */
	uint32_t target_len;
	uint64_t size; /* file: bytes */
	uint64_t
		start; /* file: offset of its first block in the segment, bytes; 0 without blocks */
	uint32_t block_count; /* file: data blocks; the tail is in the fragment when there is one */
	const uint8_t *
		blocks; /* block_count little-endian u32: stored size | TREE_BLOCK_RAW; 0: a hole */
	uint32_t fragment;     /* file: index in the fragment list, or TREE_NO_FRAGMENT */
	uint32_t fragment_off; /* file: offset of the tail in the fragment's contents, bytes */
};

struct tree {
	struct digest segment; /* SHA-256 of the segment's bytes: the name of that object */
	uint64_t segment_size; /* bytes */
	uint64_t directory_count, file_count, symlink_count,
		entry_count; /* of the whole tree, root included */
	uint32_t fragment_count;
	const uint8_t *fragments;  /* fragment_count × (u64 start, u32 size | TREE_BLOCK_RAW),
				      little-endian */
	const uint8_t *body, *end; /* encoded directories, then the root entry */
};

/*
 * Reads the header. `data` must stay as long as the tree and its entries. ERR_CORRUPT for anything
 * that is not a complete tree of this version.
 */
int tree_open(const uint8_t *data, size_t size, struct tree *ret, struct err *err);

uint64_t tree_fragment_start(const struct tree *tree, uint32_t i);
uint32_t tree_fragment_size(const struct tree *tree, uint32_t i);

/* Walks the encoded directories and then the root entry. */
struct tree_cursor {
	const struct tree *tree;
	const uint8_t *at;
	uint64_t directories_left;
	uint32_t entries_left;
	bool at_root;
};

void tree_cursor_init(struct tree_cursor *cursor, const struct tree *tree);
/*
 * Steps into the next directory in post-order: 1 with its number of entries, 0 when there are no
 * more and the next entry is the root. ERR_CORRUPT; ERR_BUG when entries of the previous one are
 * left unread.
 */
int tree_next_directory(struct tree_cursor *cursor, uint32_t *ret_entries, struct err *err);
/*
 * The next entry of the current directory, names strictly ascending; or the root entry at the end.
 * Does not allocate. ERR_CORRUPT; ERR_BUG when the directory has no more.
 */
int tree_next_entry(struct tree_cursor *cursor, struct tree_entry *ret, struct err *err);

/*
 * Checks everything a composer relies on, once, when a tree comes from outside: order and form of
 * names, every count and bound, stack discipline of directories, blocks within the segment.
 * ERR_CORRUPT.
 */
int tree_check(const struct tree *tree, struct err *err);

/*
 * Writes a tree. Directories must come in post-order, with their entries in order; a zeroed writer
 * is a new one. Wrong counts are ERR_BUG; tree_check() sees the rest.
 */
struct tree_writer {
	struct buf fragments;
	struct buf body;
	uint64_t directory_count, file_count, symlink_count;
	uint32_t entries_left; /* of the directory that is being written */
	bool finished;         /* the root entry was written */
};

#define AUTO_TREE_WRITER AUTO(tree_writer_done) struct tree_writer

void tree_writer_done(struct tree_writer *writer);
int tree_writer_fragment(
	struct tree_writer *writer, uint64_t start, uint32_t size, struct err *err);
int tree_writer_directory(struct tree_writer *writer, uint32_t entries, struct err *err);
int tree_writer_entry(struct tree_writer *writer, const struct tree_entry *entry, struct err *err);
/* Appends the finished tree to `out`. The root entry must have been the last one. */
int tree_writer_finish(struct tree_writer *writer, const struct digest *segment,
	uint64_t segment_size, struct buf *out, struct err *err);

#endif
