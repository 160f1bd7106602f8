/* SPDX-License-Identifier: MIT */
/* struct squashfs_super_block of fs/squashfs/squashfs_fs.h, Linux 6.12. */
#include "image/squashfs/superblock.h"

#include "base/bytes.h"
#include "tree/tree.h"

#define VERSION_MAJOR 4
#define VERSION_MINOR 0
#define FLAGS (SQFS_UNCOMPRESSED_INODES | SQFS_DUPLICATES | SQFS_NO_XATTRS | SQFS_UNCOMPRESSED_IDS)
#define ID_COUNT 1

void sqfs_superblock_encode(const struct sqfs_superblock *sb, uint8_t out[SQFS_SUPERBLOCK_SIZE])
{
	put_le32(out, SQFS_MAGIC);
	put_le32(out + 4, sb->inode_count);
	put_le32(out + 8, SQFS_MTIME); /* when the image was made */
	put_le32(out + 12, TREE_BLOCK_SIZE);
	put_le32(out + 16, sb->fragment_count);
	put_le16(out + 20, SQFS_COMPRESSOR_ZSTD);
	put_le16(out + 22, (uint16_t)__builtin_ctz(TREE_BLOCK_SIZE));
	put_le16(out + 24, FLAGS);
	put_le16(out + 26, ID_COUNT);
	put_le16(out + 28, VERSION_MAJOR);
	put_le16(out + 30, VERSION_MINOR);
	put_le64(out + 32, sb->root_inode);
	put_le64(out + SQFS_SUPERBLOCK_END, sb->end);
	put_le64(out + 48, sb->id_table);
	put_le64(out + 56, SQFS_INVALID_TABLE); /* extended attributes */
	put_le64(out + SQFS_SUPERBLOCK_INODES, sb->inode_table);
	put_le64(out + 72, sb->directory_table);
	put_le64(out + 80, sb->fragment_table);
	put_le64(out + 88, SQFS_INVALID_TABLE); /* export */
}
