/* SPDX-License-Identifier: MIT */
#ifndef IMAGE_SQUASHFS_META_H
#define IMAGE_SQUASHFS_META_H

/*
 * A table of metadata blocks, all of them stored uncompressed, so that the place of every byte in
 * the table is known when it is written.
 */

#include "base/buf.h"
#include "image/squashfs/format.h"

struct sqfs_meta {
	struct buf blocks; /* whole blocks with their headers; the last one is still being filled */
	uint64_t pos;      /* bytes of contents so far */
};

void sqfs_meta_done(struct sqfs_meta *meta);

/* Appends contents. ERR_LIMIT when the table outgrows the 32 bits in which others refer to it. */
int sqfs_meta_put(struct sqfs_meta *meta, const void *data, size_t size, struct err *err);

/* Closes the last block; meta->blocks is the finished table. */
void sqfs_meta_finish(struct sqfs_meta *meta);

/* Where the block that holds content byte `pos` starts in the table. */
static inline uint32_t sqfs_meta_block(uint64_t pos)
{
	return (uint32_t)(pos / SQFS_META_SIZE * (SQFS_META_SIZE + SQFS_META_HEADER_SIZE));
}

/* Where `pos` lies within its block. */
static inline uint16_t sqfs_meta_offset(uint64_t pos)
{
	return (uint16_t)(pos % SQFS_META_SIZE);
}

#endif
