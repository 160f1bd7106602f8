/* SPDX-License-Identifier: MIT */
/*
 * Directory listings. A listing is a sequence of runs: a header names the block of the inode table
 * and a base number that the entries behind it share. A listing of more than one metadata block
 * gets an index, so that a lookup need not read all of it (dir_index in fs/squashfs/namei.c: it
 * goes to the last run whose first name is not above the one wanted).
 */
#include "image/squashfs/directory.h"

#include "base/bytes.h"

#define HEADER_SIZE 12u
#define ENTRY_SIZE 8u /* and the name */
#define INDEX_ENTRY_SIZE 12u
#define INDEX_COUNT_MAX UINT16_MAX

/* Beyond one metadata block an index pays; the basic inode could say up to 64 KiB. */
#define UNINDEXED_MAX SQFS_META_SIZE

static bool same_run(const struct sqfs_child *first, const struct sqfs_child *child)
{
	int64_t delta = (int64_t)child->number - first->number;
	return sqfs_meta_block(child->inode) == sqfs_meta_block(first->inode) &&
		delta >= INT16_MIN && delta <= INT16_MAX;
}

/*
 * How many of the children can stand behind one header at `pos`. In an indexed directory a run ends
 * with its metadata block, since an index can only point to headers.
 */
static size_t run_length(
	const struct sqfs_child *children, size_t count, uint64_t pos, bool indexed)
{
	uint64_t block = pos / SQFS_META_SIZE;
	size_t n = 0;
	pos += HEADER_SIZE;
	while (n < count && n < SQFS_DIRECTORY_RUN_MAX && same_run(children, &children[n]) &&
		(!indexed || n == 0 || pos / SQFS_META_SIZE == block)) {
		pos += ENTRY_SIZE + children[n].name_len;
		n++;
	}
	return n;
}

static int put_run(struct sqfs_meta *directories, const struct sqfs_child *children, size_t count,
	struct err *err)
{
	uint8_t header[HEADER_SIZE];
	put_le32(header, (uint32_t)count - 1);
	put_le32(header + 4, sqfs_meta_block(children[0].inode));
	put_le32(header + 8, children[0].number);
	if (sqfs_meta_put(directories, header, sizeof(header), err) < 0)
		return -1;
	for (const struct sqfs_child *child = children; child < children + count; child++) {
		uint8_t entry[ENTRY_SIZE + SQFS_NAME_MAX];
		put_le16(entry, sqfs_meta_offset(child->inode));
		put_le16(entry + 2, (uint16_t)(child->number - children[0].number));
		put_le16(entry + 4, (uint16_t)child->type);
		put_le16(entry + 6, (uint16_t)(child->name_len - 1));
		memcpy(entry + ENTRY_SIZE, child->name, child->name_len);
		if (sqfs_meta_put(directories, entry, ENTRY_SIZE + child->name_len, err) < 0)
			return -1;
	}
	return 0;
}

static int put_index_entry(struct buf *indexes, const struct sqfs_child *first, uint64_t pos,
	uint64_t listing_pos, struct err *err)
{
	uint8_t entry[INDEX_ENTRY_SIZE];
	put_le32(entry, (uint32_t)(pos - listing_pos));
	put_le32(entry + 4, sqfs_meta_block(pos));
	put_le32(entry + 8, first->name_len - 1);
	if (buf_put(indexes, entry, sizeof(entry), err) < 0)
		return -1;
	return buf_put(indexes, first->name, first->name_len, err);
}

/* What the listing takes at least: with all entries behind as few headers as there can be. */
static uint64_t least_size(const struct sqfs_child *children, size_t count)
{
	uint64_t size = HEADER_SIZE + (uint64_t)count * ENTRY_SIZE;
	for (size_t i = 0; i < count; i++)
		size += children[i].name_len;
	return size;
}

int sqfs_directory_put(struct sqfs_meta *directories, struct buf *indexes,
	const struct sqfs_child *children, size_t count, struct sqfs_listing *ret, struct err *err)
{
	bool indexed = least_size(children, count) > UNINDEXED_MAX;
	struct sqfs_listing listing = {.pos = directories->pos, .index_off = indexes->len};
	uint64_t indexed_block = listing.pos / SQFS_META_SIZE;
	for (size_t i = 0, n; i < count; i += n) {
		uint64_t pos = directories->pos;
		n = run_length(children + i, count - i, pos, indexed);
		if (indexed && pos / SQFS_META_SIZE != indexed_block &&
			listing.index_count < INDEX_COUNT_MAX) {
			if (put_index_entry(indexes, &children[i], pos, listing.pos, err) < 0)
				return -1;
			indexed_block = pos / SQFS_META_SIZE;
			listing.index_count++;
		}
		if (put_run(directories, children + i, n, err) < 0)
			return -1;
	}
	listing.size = directories->pos - listing.pos;
	listing.index_size = indexes->len - listing.index_off;
	for (size_t i = 0; i < count; i++)
		listing.subdir_count += children[i].type == SQFS_DIRECTORY;
	*ret = listing;
	return 0;
}
