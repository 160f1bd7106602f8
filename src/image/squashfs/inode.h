/* SPDX-License-Identifier: MIT */
#ifndef IMAGE_SQUASHFS_INODE_H
#define IMAGE_SQUASHFS_INODE_H

/* Inodes: the kinds that a Nix store needs, root:root, mtime 1, modes 0444, 0555 and 0777. */

#include "image/squashfs/directory.h"
#include "tree/tree.h"

/* Where the data of one tree's files lie in the image. */
struct sqfs_place {
	uint64_t segment;       /* bytes from the start of the image */
	uint32_t fragment_base; /* the tree's fragment 0 in the image's fragment table */
};

/* Each appends one inode. ERR_LIMIT beyond what squashfs can hold. */
int sqfs_inode_put_file(struct sqfs_meta *inodes, const struct tree_entry *entry, uint32_t number,
	const struct sqfs_place *place, struct err *err);
int sqfs_inode_put_symlink(
	struct sqfs_meta *inodes, const struct tree_entry *entry, uint32_t number, struct err *err);
/* `index` has listing->index_size bytes. */
int sqfs_inode_put_directory(struct sqfs_meta *inodes, const struct sqfs_listing *listing,
	const uint8_t *index, uint32_t parent_number, struct err *err);

#endif
