/* SPDX-License-Identifier: MIT */
/*
 * Inode records. The basic kinds have 32-bit places and sizes; the extended ones are taken only for
 * what the basic ones cannot say. Block lists are copied as the tree has them, since a tree keeps
 * block sizes in squashfs form; that a file has as many blocks as its size demands, and its tail
 * within the fragment, is what tree_next_entry() vouches for.
 */
#include "image/squashfs/inode.h"

#include "base/bytes.h"

#define COMMON_SIZE 16u
#define DIRECTORY_SIZE 32u
#define DIRECTORY_EXTENDED_SIZE 40u
#define FILE_SIZE 32u
#define FILE_EXTENDED_SIZE 56u
#define SYMLINK_SIZE 24u

#define MODE_FILE 0444
#define MODE_EXECUTABLE 0555
#define MODE_DIRECTORY 0555
#define MODE_SYMLINK 0777

/* Type, permissions, id table index 0 for owner and group, mtime, number. */
static void put_common(uint8_t *p, enum sqfs_type type, uint16_t mode, uint32_t number)
{
	put_le16(p, (uint16_t)type);
	put_le16(p + 2, mode);
	put_le32(p + 4, 0);
	put_le32(p + 8, SQFS_MTIME);
	put_le32(p + 12, number);
}

/* Bytes in blocks that are holes. */
static uint64_t sparse_bytes(const struct tree_entry *entry)
{
	uint64_t sparse = 0;
	for (uint32_t i = 0; i < entry->block_count; i++) {
		uint64_t left = entry->size - (uint64_t)i * TREE_BLOCK_SIZE;
		if (get_le32(entry->blocks + 4 * (size_t)i) == 0)
			sparse += left < TREE_BLOCK_SIZE ? left : TREE_BLOCK_SIZE;
	}
	return sparse;
}

int sqfs_inode_put_file(struct sqfs_meta *inodes, const struct tree_entry *entry, uint32_t number,
	const struct sqfs_place *place, struct err *err)
{
	uint16_t mode = entry->type == TREE_EXECUTABLE ? MODE_EXECUTABLE : MODE_FILE;
	uint64_t start = entry->block_count > 0 ? place->segment + entry->start : 0;
	uint64_t sparse = sparse_bytes(entry);
	bool in_fragment = entry->fragment != TREE_NO_FRAGMENT;
	uint32_t fragment = in_fragment ? place->fragment_base + entry->fragment : SQFS_NO_FRAGMENT;
	uint32_t fragment_off = in_fragment ? entry->fragment_off : 0;

	uint8_t p[FILE_EXTENDED_SIZE];
	size_t size;
	if (start > UINT32_MAX || entry->size > UINT32_MAX || sparse > 0) {
		put_common(p, SQFS_FILE_EXTENDED, mode, number);
		put_le64(p + 16, start);
		put_le64(p + 24, entry->size);
		put_le64(p + 32, sparse);
		put_le32(p + 40, 1); /* links */
		put_le32(p + 44, fragment);
		put_le32(p + 48, fragment_off);
		put_le32(p + 52, SQFS_NO_XATTR);
		size = FILE_EXTENDED_SIZE;
	} else {
		put_common(p, SQFS_FILE, mode, number);
		put_le32(p + 16, (uint32_t)start);
		put_le32(p + 20, fragment);
		put_le32(p + 24, fragment_off);
		put_le32(p + 28, (uint32_t)entry->size);
		size = FILE_SIZE;
	}
	if (sqfs_meta_put(inodes, p, size, err) < 0)
		return -1;
	return sqfs_meta_put(inodes, entry->blocks, 4 * (size_t)entry->block_count, err);
}

int sqfs_inode_put_symlink(
	struct sqfs_meta *inodes, const struct tree_entry *entry, uint32_t number, struct err *err)
{
	uint8_t p[SYMLINK_SIZE];
	put_common(p, SQFS_SYMLINK, MODE_SYMLINK, number);
	put_le32(p + 16, 1); /* links */
	put_le32(p + 20, entry->target_len);
	if (sqfs_meta_put(inodes, p, sizeof(p), err) < 0)
		return -1;
	return sqfs_meta_put(inodes, entry->target, entry->target_len, err);
}

int sqfs_inode_put_directory(struct sqfs_meta *inodes, const struct sqfs_listing *listing,
	const uint8_t *index, uint32_t parent_number, struct err *err)
{
	uint64_t size = listing->size + SQFS_DIRECTORY_SIZE_EXTRA;
	if (size > UINT32_MAX)
		return err_raise(err, ERR_LIMIT,
			"a directory listing is too large (%llu > max %u bytes)",
			(unsigned long long)size, UINT32_MAX);
	/* A listing at the very end of the table would point behind it when it is empty. */
	uint64_t pos = listing->size > 0 ? listing->pos : 0;
	uint8_t p[DIRECTORY_EXTENDED_SIZE];
	if (size <= UINT16_MAX && listing->index_count == 0) {
		put_common(p, SQFS_DIRECTORY, MODE_DIRECTORY, listing->number);
		put_le32(p + 16, sqfs_meta_block(pos));
		put_le32(p + 20, listing->subdir_count + 2);
		put_le16(p + 24, (uint16_t)size);
		put_le16(p + 26, sqfs_meta_offset(pos));
		put_le32(p + 28, parent_number);
		return sqfs_meta_put(inodes, p, DIRECTORY_SIZE, err);
	}
	put_common(p, SQFS_DIRECTORY_EXTENDED, MODE_DIRECTORY, listing->number);
	put_le32(p + 16, listing->subdir_count + 2);
	put_le32(p + 20, (uint32_t)size);
	put_le32(p + 24, sqfs_meta_block(pos));
	put_le32(p + 28, parent_number);
	put_le16(p + 32, (uint16_t)listing->index_count);
	put_le16(p + 34, sqfs_meta_offset(pos));
	put_le32(p + 36, SQFS_NO_XATTR);
	if (sqfs_meta_put(inodes, p, DIRECTORY_EXTENDED_SIZE, err) < 0)
		return -1;
	return sqfs_meta_put(inodes, index, listing->index_size, err);
}
