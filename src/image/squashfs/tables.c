/* SPDX-License-Identifier: MIT */
/*
 * Filling the tables. One pass over each tree; what is remembered is a stack of directories and the
 * children of the one at hand. Inode numbers are given when a listing is begun or a file is met, so
 * they are unique, and each child can name its parent.
 */
#include "image/squashfs/tables.h"

#include "base/bytes.h"

void sqfs_tables_init(struct sqfs_tables *tables)
{
	*tables = (struct sqfs_tables){.inode_count = SQFS_ROOT_NUMBER};
}

void sqfs_tables_done(struct sqfs_tables *tables)
{
	sqfs_meta_done(&tables->inodes);
	sqfs_meta_done(&tables->directories);
	sqfs_meta_done(&tables->fragments);
	buf_done(&tables->indexes);
	vec_done(&tables->unclaimed);
	vec_done(&tables->children);
	vec_done(&tables->entries);
}

int sqfs_tables_put_fragments(struct sqfs_tables *tables, const struct tree *tree,
	struct sqfs_place *place, struct err *err)
{
	if (tree->fragment_count > SQFS_NO_FRAGMENT - tables->fragment_count)
		return err_raise(
			err, ERR_LIMIT, "too many fragments (more than %u)", SQFS_NO_FRAGMENT - 1);
	place->fragment_base = tables->fragment_count;
	for (uint32_t i = 0; i < tree->fragment_count; i++) {
		uint8_t row[16] = {0};
		put_le64(row, place->segment + tree_fragment_start(tree, i));
		put_le32(row + 8, tree_fragment_size(tree, i));
		if (sqfs_meta_put(&tables->fragments, row, sizeof(row), err) < 0)
			return -1;
	}
	tables->fragment_count += tree->fragment_count;
	return 0;
}

int sqfs_tables_begin_directory(
	struct sqfs_tables *tables, uint32_t number, size_t subdir_count, struct err *err)
{
	size_t there = tables->unclaimed.len - tables->floor;
	if (subdir_count > there)
		return err_raise(err, ERR_CORRUPT,
			"a directory claims %zu subdirectories where there are %zu", subdir_count,
			there);
	tables->number = number;
	tables->first_claim = tables->next_claim = tables->unclaimed.len - subdir_count;
	tables->children.len = 0;
	return 0;
}

static int put_inode(struct sqfs_tables *tables, const struct tree_entry *entry,
	const struct sqfs_place *place, struct sqfs_child *child, struct err *err)
{
	const struct sqfs_listing *listing;
	switch (entry->type) {
	case TREE_DIRECTORY:
		if (tables->next_claim == tables->unclaimed.len)
			return err_raise(err, ERR_BUG, "a directory has no listing");
		listing = &tables->unclaimed.items[tables->next_claim++];
		child->type = SQFS_DIRECTORY;
		child->number = listing->number;
		return sqfs_inode_put_directory(&tables->inodes, listing,
			tables->indexes.data + listing->index_off, tables->number, err);
	case TREE_FILE:
	case TREE_EXECUTABLE:
		child->type = SQFS_FILE;
		child->number = ++tables->inode_count;
		return sqfs_inode_put_file(&tables->inodes, entry, child->number, place, err);
	case TREE_SYMLINK:
		child->type = SQFS_SYMLINK;
		child->number = ++tables->inode_count;
		return sqfs_inode_put_symlink(&tables->inodes, entry, child->number, err);
	}
	return err_raise(err, ERR_BUG, "an entry of type %d", entry->type);
}

int sqfs_tables_put_child(struct sqfs_tables *tables, const struct tree_entry *entry,
	const struct sqfs_place *place, struct err *err)
{
	/* Filled in where it stays: copying what was just written field by field stalls. */
	if (vec_push(&tables->children, (struct sqfs_child){0}, err) < 0)
		return -1;
	struct sqfs_child *child = &tables->children.items[tables->children.len - 1];
	child->name = entry->name;
	child->name_len = entry->name_len;
	child->inode = tables->inodes.pos;
	return put_inode(tables, entry, place, child, err);
}

int sqfs_tables_end_directory(struct sqfs_tables *tables, struct err *err)
{
	struct sqfs_listing listing;
	if (sqfs_directory_put(&tables->directories, &tables->indexes, tables->children.items,
		    tables->children.len, &listing, err) < 0)
		return -1;
	listing.number = tables->number;
	tables->unclaimed.len = tables->first_claim;
	return vec_push(&tables->unclaimed, listing, err);
}

/* Reads a directory's entries, since the number of its subdirectories is needed first. */
static int read_entries(struct sqfs_tables *tables, struct tree_cursor *cursor, uint32_t count,
	size_t *ret_subdirs, struct err *err)
{
	size_t subdirs = 0;
	tables->entries.len = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct tree_entry entry;
		if (tree_next_entry(cursor, &entry, err) < 0)
			return -1;
		subdirs += entry.type == TREE_DIRECTORY;
		if (vec_push(&tables->entries, entry, err) < 0)
			return -1;
	}
	*ret_subdirs = subdirs;
	return 0;
}

static int put_directory(struct sqfs_tables *tables, struct tree_cursor *cursor, uint32_t count,
	const struct sqfs_place *place, struct err *err)
{
	size_t subdirs;
	if (read_entries(tables, cursor, count, &subdirs, err) < 0)
		return -1;
	if (sqfs_tables_begin_directory(tables, ++tables->inode_count, subdirs, err) < 0)
		return -1;
	VEC_FOREACH(entry, &tables->entries)
		if (sqfs_tables_put_child(tables, entry, place, err) < 0)
			return -1;
	return sqfs_tables_end_directory(tables, err);
}

int sqfs_tables_put_tree(struct sqfs_tables *tables, const struct tree *tree,
	const struct sqfs_place *place, struct tree_entry *ret_root, struct err *err)
{
	tables->floor = tables->unclaimed.len;
	struct tree_cursor cursor;
	tree_cursor_init(&cursor, tree);
	uint32_t count;
	int r;
	while ((r = tree_next_directory(&cursor, &count, err)) == 1)
		if (put_directory(tables, &cursor, count, place, err) < 0)
			return -1;
	struct tree_entry root;
	if (r < 0 || tree_next_entry(&cursor, &root, err) < 0)
		return -1;
	if (tables->unclaimed.len - tables->floor != (root.type == TREE_DIRECTORY))
		return err_raise(
			err, ERR_CORRUPT, "directories of a tree do not belong to its root");
	tables->floor = 0;
	*ret_root = root;
	return 0;
}

int sqfs_tables_finish(struct sqfs_tables *tables, uint64_t *ret_inode, struct err *err)
{
	if (tables->unclaimed.len != 1)
		return err_raise(err, ERR_BUG, "%zu directories are left besides the root",
			tables->unclaimed.len - 1);
	const struct sqfs_listing *root = &tables->unclaimed.items[0];
	uint64_t pos = tables->inodes.pos;
	/* mksquashfs gives the root a parent that no inode has. */
	if (sqfs_inode_put_directory(&tables->inodes, root, tables->indexes.data + root->index_off,
		    tables->inode_count + 1, err) < 0)
		return -1;
	sqfs_meta_finish(&tables->inodes);
	sqfs_meta_finish(&tables->directories);
	sqfs_meta_finish(&tables->fragments);
	*ret_inode = (uint64_t)sqfs_meta_block(pos) << 16 | sqfs_meta_offset(pos);
	return 0;
}
