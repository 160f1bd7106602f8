/* SPDX-License-Identifier: MIT */
/*
 * What a composer relies on beyond what the reader sees entry by entry. Run once when a tree is
 * made, arrives from elsewhere, or is verified.
 */
#include "tree/layout.h"

#include "base/bytes.h"

#include <string.h>

/* What is counted on the way, and the directories that nobody has claimed yet. */
struct tally {
	uint64_t files, symlinks, unclaimed;
};

static int check_name(const struct tree_entry *entry, struct err *err)
{
	const char *name = entry->name;
	size_t len = entry->name_len;
	bool dots = (len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.');
	if (dots || memchr(name, '/', len) != NULL || memchr(name, '\0', len) != NULL)
		return err_raise(
			err, ERR_CORRUPT, "tree has the forbidden name '%.*s'", (int)len, name);
	return 0;
}

static int check_order(
	const char *last, uint32_t last_len, const struct tree_entry *entry, struct err *err)
{
	uint32_t len = entry->name_len < last_len ? entry->name_len : last_len;
	int order = last != NULL ? memcmp(last, entry->name, len) : -1;
	if (order < 0 || (order == 0 && last_len < entry->name_len))
		return 0;
	return err_raise(err, ERR_CORRUPT, "tree has '%.*s' behind '%.*s'", (int)entry->name_len,
		entry->name, (int)last_len, last);
}

/* A stored block of `full` bytes: its form and its place. */
static int check_block(
	const struct tree *tree, uint64_t start, uint32_t word, uint32_t full, struct err *err)
{
	uint32_t stored = word & ~TREE_BLOCK_RAW;
	bool raw = (word & TREE_BLOCK_RAW) != 0;
	if (raw ? stored != full : stored >= full)
		return err_raise(err, ERR_CORRUPT, "tree has a %s block of %u bytes for %u",
			raw ? "raw" : "compressed", stored, full);
	if (start > tree->segment_size || stored > tree->segment_size - start)
		return err_raise(err, ERR_CORRUPT,
			"tree has a block at %llu of %u bytes, its segment has %llu",
			(unsigned long long)start, stored, (unsigned long long)tree->segment_size);
	return 0;
}

static int check_file(const struct tree *tree, const struct tree_entry *entry, struct err *err)
{
	uint64_t at = entry->start, left = entry->size;
	for (uint32_t i = 0; i < entry->block_count; i++) {
		uint32_t full = left < TREE_BLOCK_SIZE ? (uint32_t)left : TREE_BLOCK_SIZE;
		uint32_t word = get_le32(entry->blocks + 4 * (size_t)i);
		if (check_block(tree, at, word, full, err) < 0)
			return -1;
		at += word & ~TREE_BLOCK_RAW;
		left -= full;
	}
	return 0;
}

static int check_entry(const struct tree *tree, const struct tree_entry *entry, struct tally *tally,
	struct err *err)
{
	switch (entry->type) {
	case TREE_DIRECTORY:
		if (tally->unclaimed == 0)
			return err_raise(err, ERR_CORRUPT,
				"tree has the directory '%.*s' without its entries",
				(int)entry->name_len, entry->name);
		tally->unclaimed--;
		return 0;
	case TREE_FILE:
	case TREE_EXECUTABLE:
		tally->files++;
		return check_file(tree, entry, err);
	case TREE_SYMLINK:
		tally->symlinks++;
		if (memchr(entry->target, '\0', entry->target_len) != NULL)
			return err_raise(
				err, ERR_CORRUPT, "tree has a symlink target with a zero byte");
		return 0;
	}
	return err_raise(err, ERR_BUG, "entry of type %d", (int)entry->type);
}

static int check_directory(
	struct tree_cursor *cursor, uint32_t entries, struct tally *tally, struct err *err)
{
	struct tree_entry entry;
	const char *last = NULL;
	uint32_t last_len = 0;
	for (uint32_t i = 0; i < entries; i++) {
		if (tree_next_entry(cursor, &entry, err) < 0 || check_name(&entry, err) < 0)
			return -1;
		if (check_order(last, last_len, &entry, err) < 0)
			return -1;
		if (check_entry(cursor->tree, &entry, tally, err) < 0)
			return -1;
		last = entry.name;
		last_len = entry.name_len;
	}
	tally->unclaimed++;
	return 0;
}

static int check_fragments(const struct tree *tree, struct err *err)
{
	for (uint32_t i = 0; i < tree->fragment_count; i++) {
		uint32_t word = tree_fragment_size(tree, i), stored = word & ~TREE_BLOCK_RAW;
		/* How many bytes it holds is not recorded; a raw one may have any number. */
		uint32_t full = (word & TREE_BLOCK_RAW) != 0 ? stored : TREE_BLOCK_SIZE;
		if (stored == 0 || stored > TREE_BLOCK_SIZE)
			return err_raise(
				err, ERR_CORRUPT, "tree has a fragment of %u bytes", stored);
		if (check_block(tree, tree_fragment_start(tree, i), word, full, err) < 0)
			return -1;
	}
	return 0;
}

int tree_check(const struct tree *tree, struct err *err)
{
	if (check_fragments(tree, err) < 0)
		return -1;
	struct tally tally = {0};
	struct tree_cursor cursor;
	tree_cursor_init(&cursor, tree);
	uint32_t entries;
	int r;
	while ((r = tree_next_directory(&cursor, &entries, err)) > 0)
		if (check_directory(&cursor, entries, &tally, err) < 0)
			return -1;
	struct tree_entry root;
	if (r < 0 || tree_next_entry(&cursor, &root, err) < 0)
		return -1;
	if (check_entry(tree, &root, &tally, err) < 0)
		return -1;
	if (tally.unclaimed != 0)
		return err_raise(err, ERR_CORRUPT, "tree has directories outside its root");
	if (tally.files != tree->file_count || tally.symlinks != tree->symlink_count)
		return err_raise(err, ERR_CORRUPT, "tree has other counts than its header says");
	return 0;
}
