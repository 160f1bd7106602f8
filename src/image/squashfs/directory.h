/* SPDX-License-Identifier: MIT */
#ifndef IMAGE_SQUASHFS_DIRECTORY_H
#define IMAGE_SQUASHFS_DIRECTORY_H

/* Directory listings: the names of a directory and where their inodes are. */

#include "image/squashfs/meta.h"

/* One name of a directory. */
struct sqfs_child {
	const char *name; /* borrowed */
	uint32_t name_len;
	uint32_t number; /* inode number */
	uint64_t inode;  /* where its inode is: content byte of the inode table */
	enum sqfs_type type;
};

/* A directory whose listing is written and whose inode is not yet. */
struct sqfs_listing {
	uint64_t pos;    /* where the listing starts: content byte of the directory table */
	uint64_t size;   /* bytes */
	uint32_t number; /* the directory's inode number */
	uint32_t subdir_count;
	size_t index_off;  /* its index in the buffer of indexes, bytes */
	size_t index_size; /* 0: none */
	uint32_t index_count;
};

/*
 * Writes the listing of `count` children, in ascending order of their names, and appends its index
 * to `indexes` when it has one. Fills *ret but for its number. ERR_LIMIT.
 */
int sqfs_directory_put(struct sqfs_meta *directories, struct buf *indexes,
	const struct sqfs_child *children, size_t count, struct sqfs_listing *ret, struct err *err);

#endif
