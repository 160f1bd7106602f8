/* SPDX-License-Identifier: MIT */
#ifndef IMAGE_SQUASHFS_FORMAT_H
#define IMAGE_SQUASHFS_FORMAT_H

/*
 * The numbers of squashfs 4.0 that we write: fs/squashfs/squashfs_fs.h, Linux 6.12. Everything on
 * disk is little-endian.
 */

#define SQFS_MAGIC 0x73717368u
#define SQFS_SUPERBLOCK_SIZE 96
/* Where the superblock says how long the image is, and where its tables begin; le64 bytes. */
#define SQFS_SUPERBLOCK_END 40
#define SQFS_SUPERBLOCK_INODES 64
#define SQFS_COMPRESSOR_ZSTD 6
#define SQFS_INVALID_TABLE UINT64_MAX /* SQUASHFS_INVALID_BLK: this table does not exist */

/* Superblock flags. */
#define SQFS_UNCOMPRESSED_INODES (1u << 0)
#define SQFS_DUPLICATES (1u << 6)
#define SQFS_NO_XATTRS (1u << 9)
#define SQFS_UNCOMPRESSED_IDS (1u << 11)

/* A metadata block: le16 length, with the top bit when the contents are stored, then contents. */
#define SQFS_META_SIZE 8192u /* bytes of contents, but in the last block of a table */
#define SQFS_META_HEADER_SIZE 2u
#define SQFS_META_STORED 0x8000u

/* Inode types; directory entries name the basic one also for an extended inode. */
enum sqfs_type {
	SQFS_DIRECTORY = 1,
	SQFS_FILE = 2,
	SQFS_SYMLINK = 3,
	SQFS_DIRECTORY_EXTENDED = 8,
	SQFS_FILE_EXTENDED = 9,
};

#define SQFS_NO_FRAGMENT UINT32_MAX
#define SQFS_NO_XATTR UINT32_MAX
#define SQFS_NAME_MAX 255u           /* NAME_MAX; the format itself has 256 */
#define SQFS_DIRECTORY_RUN_MAX 256u  /* SQUASHFS_DIR_COUNT: entries behind one header */
#define SQFS_DIRECTORY_SIZE_EXTRA 3u /* dir.c: sizes count "." and ".." as three bytes */
#define SQFS_MTIME 1u                /* as in the Nix store: seconds since 1970 */

#endif
