/* SPDX-License-Identifier: MIT */
#ifndef IMAGE_SQUASHFS_TABLES_H
#define IMAGE_SQUASHFS_TABLES_H

/*
 * The inode, directory and fragment tables of an image that is being composed. Directories come in
 * post-order: a listing is written after those of its subdirectories, and a directory's inode when
 * the directory that holds it is written.
 */

#include "base/vec.h"
#include "image/squashfs/inode.h"

struct sqfs_tables {
	struct sqfs_meta inodes, directories, fragments;
	uint32_t inode_count;    /* also the last inode number given */
	uint32_t fragment_count; /* rows */

	VEC(struct sqfs_listing) unclaimed; /* directories whose inodes are not written yet */
	struct buf indexes;                 /* of those directories */
	size_t floor;                       /* those below belong to trees that are done */
	/* The directory that is being written. */
	uint32_t number;
	size_t next_claim; /* its next subdirectory in `unclaimed` */
	size_t first_claim;
	VEC(struct sqfs_child) children;
	VEC(struct tree_entry) entries; /* memory for sqfs_tables_put_tree() */
};

/* The image's root directory has the first number, so that its children know it. */
#define SQFS_ROOT_NUMBER 1u

void sqfs_tables_done(struct sqfs_tables *tables);
/* For zeroed memory; reserves the root's number. */
void sqfs_tables_init(struct sqfs_tables *tables);

/* Adds a tree's rows to the fragment table. ERR_LIMIT. */
int sqfs_tables_put_fragments(struct sqfs_tables *tables, const struct tree *tree,
	struct sqfs_place *place, struct err *err);

/*
 * Writes everything in a tree but its root's inode, which belongs to the image's root directory;
 * *ret_root is its root entry. ERR_CORRUPT when the tree is damaged.
 */
int sqfs_tables_put_tree(struct sqfs_tables *tables, const struct tree *tree,
	const struct sqfs_place *place, struct tree_entry *ret_root, struct err *err);

/* One directory: begin with its number, each child in order of names, end. */
int sqfs_tables_begin_directory(
	struct sqfs_tables *tables, uint32_t number, size_t subdir_count, struct err *err);
int sqfs_tables_put_child(struct sqfs_tables *tables, const struct tree_entry *entry,
	const struct sqfs_place *place, struct err *err);
int sqfs_tables_end_directory(struct sqfs_tables *tables, struct err *err);

/*
 * Writes the inode of the image's root, the only directory left unclaimed, and closes the tables.
 * *ret_inode is the reference to it that the superblock has.
 */
int sqfs_tables_finish(struct sqfs_tables *tables, uint64_t *ret_inode, struct err *err);

#endif
