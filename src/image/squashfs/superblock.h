/* SPDX-License-Identifier: MIT */
#ifndef IMAGE_SQUASHFS_SUPERBLOCK_H
#define IMAGE_SQUASHFS_SUPERBLOCK_H

/* The superblock: where the tables are. */

#include "image/squashfs/format.h"

#include <stdint.h>

struct sqfs_superblock {
	uint32_t inode_count, fragment_count;
	uint64_t root_inode; /* block in the inode table << 16 | offset in it */
	/* Bytes from the start of the image. */
	uint64_t inode_table, directory_table, fragment_table, id_table, end;
};

void sqfs_superblock_encode(const struct sqfs_superblock *sb, uint8_t out[SQFS_SUPERBLOCK_SIZE]);

#endif
