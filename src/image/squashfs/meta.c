/* SPDX-License-Identifier: MIT */
/*
 * The metadata writer. It splits a stream of bytes into blocks and knows nothing of inodes or
 * directories. Compressing the blocks would make an image of 300,000 inodes 15 MB smaller and
 * composing ten times slower.
 */
#include "image/squashfs/meta.h"

#include "base/bytes.h"

#include <string.h>

void sqfs_meta_done(struct sqfs_meta *meta)
{
	buf_done(&meta->blocks);
	meta->pos = 0;
}

/* Adds a block, for now a full one. */
static int open_block(struct sqfs_meta *meta, struct err *err)
{
	const size_t size = SQFS_META_HEADER_SIZE + SQFS_META_SIZE;
	meta->blocks.max = UINT32_MAX;
	uint8_t *header = buf_reserve(&meta->blocks, size, err);
	if (header == NULL)
		return err_prefix(err, "squashfs metadata");
	put_le16(header, SQFS_META_STORED | SQFS_META_SIZE);
	meta->blocks.len += size;
	return 0;
}

int sqfs_meta_put(struct sqfs_meta *meta, const void *data, size_t size, struct err *err)
{
	const uint8_t *from = data;
	while (size > 0) {
		size_t off = sqfs_meta_offset(meta->pos), room = SQFS_META_SIZE - off;
		if (off == 0 && open_block(meta, err) < 0)
			return -1;
		size_t piece = size < room ? size : room;
		uint8_t *block = meta->blocks.data + sqfs_meta_block(meta->pos);
		/* Not memcpy: GCC 12 knows the bound of `piece` and makes it rep movs, which starts
		 * slowly, and most pieces are some dozens of bytes. A fifth of all time went there.
		 */
		memmove(block + SQFS_META_HEADER_SIZE + off, from, piece);
		meta->pos += piece;
		from += piece;
		size -= piece;
	}
	return 0;
}

void sqfs_meta_finish(struct sqfs_meta *meta)
{
	uint16_t used = sqfs_meta_offset(meta->pos);
	if (used == 0)
		return;
	put_le16(meta->blocks.data + sqfs_meta_block(meta->pos), SQFS_META_STORED | used);
	meta->blocks.len -= SQFS_META_SIZE - used;
}
