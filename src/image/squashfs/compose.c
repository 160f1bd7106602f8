/* SPDX-License-Identifier: MIT */
/*
 * Composing: superblock, the segments each at a multiple of 4 KiB, then all metadata. Everything
 * follows from the members in the order of their names, so the same members give the same bytes.
 * Where segments and trees come from is the caller's business.
 */
#include "image/squashfs/squashfs.h"

#include "base/bytes.h"
#include "image/squashfs/superblock.h"
#include "image/squashfs/tables.h"

#include <string.h>

/* Pages, and blocks of file systems that can share them: segments can be reflinked and mapped. */
#define SEGMENT_ALIGN 4096u

/* A member with its place in the image. */
struct placed {
	const struct squashfs_member *member;
	struct placed *segment_of; /* first by name of those that have the same segment */
	struct sqfs_place place;
	struct tree_entry root;
};

struct composition {
	struct placed *members; /* by name */
	size_t count;
	struct image image;
	struct squashfs_layout *layout; /* NULL when nobody asks */
	struct sqfs_tables tables;
};

#define AUTO_COMPOSITION AUTO(composition_done) struct composition

static void composition_done(struct composition *comp)
{
	free(comp->members);
	image_done(&comp->image);
	sqfs_tables_done(&comp->tables);
}

void squashfs_layout_done(struct squashfs_layout *layout)
{
	vec_done(&layout->parts);
}

static int compare_names(const void *a, const void *b)
{
	const struct placed *x = a, *y = b;
	return strcmp(x->member->name, y->member->name);
}

/* By segment, then by name. */
static int compare_segments(const void *a, const void *b)
{
	const struct placed *x = *(struct placed *const *)a, *y = *(struct placed *const *)b;
	int order = digest_compare(&x->member->tree->segment, &y->member->tree->segment);
	if (order != 0)
		return order;
	return (x > y) - (x < y);
}

static int check_member(const struct squashfs_member *member, struct err *err)
{
	size_t len = strlen(member->name);
	if (len == 0 || len > SQFS_NAME_MAX || strchr(member->name, '/') != NULL ||
		strcmp(member->name, ".") == 0 || strcmp(member->name, "..") == 0)
		return err_raise(err, ERR_USAGE, "'%s' cannot be a name in an image", member->name);
	return 0;
}

static int sort_members(struct composition *comp, const struct squashfs_member *members,
	size_t count, struct err *err)
{
	comp->members = calloc(count + 1, sizeof(*comp->members));
	if (comp->members == NULL)
		return err_oom(err);
	comp->count = count;
	uint64_t inodes = SQFS_ROOT_NUMBER;
	for (size_t i = 0; i < count; i++) {
		if (check_member(&members[i], err) < 0)
			return -1;
		comp->members[i].member = &members[i];
		if (!mem_add(inodes, members[i].tree->entry_count, &inodes))
			inodes = UINT64_MAX;
	}
	/* The root's parent is one number more. */
	if (inodes >= UINT32_MAX)
		return err_raise(err, ERR_LIMIT,
			"too many files for a squashfs image (%llu > max %u)",
			(unsigned long long)inodes, UINT32_MAX - 1);
	qsort(comp->members, count, sizeof(*comp->members), compare_names);
	for (size_t i = 1; i < count; i++)
		if (compare_names(&comp->members[i - 1], &comp->members[i]) == 0)
			return err_raise(err, ERR_USAGE, "two members of an image are called '%s'",
				comp->members[i].member->name);
	return 0;
}

/* Finds the members that share a segment. */
static int share_segments(struct composition *comp, struct err *err)
{
	AUTO_FREE struct placed **order = calloc(comp->count + 1, sizeof(struct placed *));
	if (order == NULL)
		return err_oom(err);
	for (size_t i = 0; i < comp->count; i++)
		order[i] = &comp->members[i];
	qsort(order, comp->count, sizeof(struct placed *), compare_segments);
	for (size_t i = 0; i < comp->count; i++) {
		const struct tree *tree = order[i]->member->tree;
		struct placed *last = i > 0 ? order[i - 1]->segment_of : NULL;
		if (last == NULL || !digest_equal(&last->member->tree->segment, &tree->segment)) {
			order[i]->segment_of = order[i];
			continue;
		}
		if (last->member->tree->segment_size != tree->segment_size)
			return err_raise(err, ERR_CORRUPT,
				"'%s' and '%s' disagree on the size of their segment",
				last->member->name, order[i]->member->name);
		order[i]->segment_of = last;
	}
	return 0;
}

static int add_part(struct composition *comp, const struct squashfs_part *part, struct err *err)
{
	return comp->layout != NULL ? vec_push(&comp->layout->parts, *part, err) : 0;
}

static int place_segment(struct composition *comp, struct placed *placed, struct err *err)
{
	const struct squashfs_member *member = placed->member;
	uint64_t size = member->tree->segment_size;
	if (placed->segment_of != placed) {
		placed->place.segment = placed->segment_of->place.segment;
		return 0;
	}
	if (size == 0)
		return 0;
	if (image_align(&comp->image, SEGMENT_ALIGN, err) < 0)
		return -1;
	placed->place.segment = comp->image.size;
	const struct squashfs_part part = {
		comp->image.size, size, member->tree->segment, member->name};
	if (image_append_file(&comp->image, member->segment_path, 0, size, err) < 0)
		return -1;
	return add_part(comp, &part, err);
}

static int put_root_directory(struct composition *comp, struct err *err)
{
	size_t directories = comp->tables.unclaimed.len;
	if (sqfs_tables_begin_directory(&comp->tables, SQFS_ROOT_NUMBER, directories, err) < 0)
		return -1;
	for (struct placed *p = comp->members; p < comp->members + comp->count; p++) {
		p->root.name = p->member->name;
		p->root.name_len = (uint32_t)strlen(p->member->name);
		if (sqfs_tables_put_child(&comp->tables, &p->root, &p->place, err) < 0)
			return -1;
	}
	return sqfs_tables_end_directory(&comp->tables, err);
}

static int put_trees(struct composition *comp, struct err *err)
{
	for (struct placed *p = comp->members; p < comp->members + comp->count; p++) {
		const struct tree *tree = p->member->tree;
		if (sqfs_tables_put_fragments(&comp->tables, tree, &p->place, err) < 0 ||
			sqfs_tables_put_tree(&comp->tables, tree, &p->place, &p->root, err) < 0)
			return err_prefix(err, "composing '%s'", p->member->name);
	}
	return put_root_directory(comp, err);
}

static int join(struct buf *out, const struct buf *table, struct err *err)
{
	return buf_put(out, table->data, table->len, err);
}

/* Appends the places of the metadata blocks of a table that lies at `first`. */
static int put_block_list(struct buf *out, uint64_t first, uint64_t size, struct err *err)
{
	const uint64_t step = SQFS_META_SIZE + SQFS_META_HEADER_SIZE;
	for (uint64_t off = 0; off < size; off += step) {
		uint8_t place[8];
		put_le64(place, first + off);
		if (buf_put(out, place, sizeof(place), err) < 0)
			return -1;
	}
	return 0;
}

/*
 * Joins the tables into `tail`, which will lie at `start`. The order is the one the kernel checks
 * in squashfs_fill_super() (fs/squashfs/super.c): each table must end where the next begins.
 */
static int join_tables(struct sqfs_tables *tables, uint64_t start, struct buf *tail,
	struct sqfs_superblock *sb, struct err *err)
{
	*tail = tables->inodes.blocks;
	tables->inodes.blocks = (struct buf){0};
	tail->max = SIZE_MAX;
	sb->inode_table = start;
	sb->directory_table = start + tail->len;
	if (join(tail, &tables->directories.blocks, err) < 0)
		return -1;

	uint64_t fragments = start + tail->len;
	if (join(tail, &tables->fragments.blocks, err) < 0)
		return -1;
	sb->fragment_table = start + tail->len;
	if (put_block_list(tail, fragments, tables->fragments.blocks.len, err) < 0)
		return -1;

	/* The id table: one block with the one id, 0. */
	uint64_t ids = start + tail->len;
	uint8_t block[SQFS_META_HEADER_SIZE + 4] = {0};
	put_le16(block, SQFS_META_STORED | 4);
	if (buf_put(tail, block, sizeof(block), err) < 0)
		return -1;
	sb->id_table = start + tail->len;
	if (put_block_list(tail, ids, sizeof(block), err) < 0)
		return -1;
	sb->end = start + tail->len;
	return 0;
}

/* The superblock comes first in the image and is known last: its extent is filled in here. */
static int finish_tables(struct composition *comp, struct err *err)
{
	struct sqfs_superblock sb = {0};
	AUTO_BUF tail = {0};
	if (sqfs_tables_finish(&comp->tables, &sb.root_inode, err) < 0)
		return -1;
	sb.inode_count = comp->tables.inode_count;
	sb.fragment_count = comp->tables.fragment_count;
	uint64_t start = comp->image.size;
	if (join_tables(&comp->tables, start, &tail, &sb, err) < 0)
		return -1;
	uint8_t *superblock = comp->image.owned.items[0];
	sqfs_superblock_encode(&sb, superblock);
	if (comp->layout != NULL) {
		const struct squashfs_part part = {
			start, tail.len, digest_of(tail.data, tail.len), NULL};
		comp->layout->parts.items[0].digest = digest_of(superblock, SQFS_SUPERBLOCK_SIZE);
		if (add_part(comp, &part, err) < 0)
			return -1;
	}
	return image_append_take(&comp->image, &tail, err);
}

static int compose(struct composition *comp, struct err *err)
{
	static const uint8_t superblock[SQFS_SUPERBLOCK_SIZE];
	const struct squashfs_part part = {0, SQFS_SUPERBLOCK_SIZE, {{0}}, NULL};
	if (image_append_copy(&comp->image, superblock, sizeof(superblock), err) < 0 ||
		add_part(comp, &part, err) < 0)
		return -1;
	if (share_segments(comp, err) < 0)
		return -1;
	for (size_t i = 0; i < comp->count; i++)
		if (place_segment(comp, &comp->members[i], err) < 0)
			return -1;
	if (image_align(&comp->image, SEGMENT_ALIGN, err) < 0)
		return -1;
	sqfs_tables_init(&comp->tables);
	if (put_trees(comp, err) < 0 || finish_tables(comp, err) < 0)
		return -1;
	/* A loop device ends at the last whole sector. */
	return image_align(&comp->image, SEGMENT_ALIGN, err);
}

int squashfs_compose(const struct squashfs_member *members, size_t count, struct image *ret,
	struct squashfs_layout *ret_layout, struct err *err)
{
	struct squashfs_layout layout = {0};
	AUTO_COMPOSITION comp = {.layout = ret_layout != NULL ? &layout : NULL};
	if (sort_members(&comp, members, count, err) < 0 || compose(&comp, err) < 0) {
		squashfs_layout_done(&layout);
		return -1;
	}
	*ret = comp.image;
	comp.image = (struct image){0};
	if (ret_layout != NULL)
		*ret_layout = layout;
	return 0;
}
