/* SPDX-License-Identifier: MIT */
/*
 * From a segment and its tree back to the NAR they were made from. A tree has its directories in
 * post-order and a NAR in the order of names, so the entries are taken into memory first. Files are
 * decompressed block by block.
 */
#include "pool/unpack.h"

#include "base/bytes.h"
#include "base/fd.h"

#include <fcntl.h>
#include <string.h>

void unpacker_done(struct unpacker *u)
{
	vec_done(&u->directories);
	vec_done(&u->places);
	vec_done(&u->open);
	fd_close_ptr(&u->fd);
	free(u->name);
	ZSTD_freeDCtx(u->zstd);
	free(u->packed);
	free(u->block);
	free(u->tail);
}

/* Gives the last `count` directories that have no parent to the entries of a new one. */
static void adopt(struct unpacker *u, const struct directory *directory, size_t count)
{
	size_t child = u->open.len - count;
	for (size_t i = directory->first; i < u->places.len; i++)
		if (u->places.items[i].entry.type == TREE_DIRECTORY)
			u->places.items[i].directory = u->open.items[child++];
	u->open.len -= count;
}

static int read_directory(
	struct unpacker *u, struct tree_cursor *cursor, uint32_t entries, struct err *err)
{
	struct directory directory = {.first = u->places.len, .count = entries};
	size_t children = 0;
	for (uint32_t i = 0; i < entries; i++) {
		struct place place = {0};
		if (tree_next_entry(cursor, &place.entry, err) < 0 ||
			vec_push(&u->places, place, err) < 0)
			return -1;
		children += place.entry.type == TREE_DIRECTORY;
	}
	if (children > u->open.len)
		return err_raise(err, ERR_CORRUPT, "a tree lacks a directory");
	adopt(u, &directory, children);
	if (vec_push(&u->open, u->directories.len, err) < 0)
		return -1;
	return vec_push(&u->directories, directory, err);
}

static int read_tree(struct unpacker *u, struct err *err)
{
	struct tree_cursor cursor;
	uint32_t entries;
	int more;
	if (tree_check(u->tree, err) < 0)
		return -1;
	tree_cursor_init(&cursor, u->tree);
	while ((more = tree_next_directory(&cursor, &entries, err)) == 1)
		if (read_directory(u, &cursor, entries, err) < 0)
			return -1;
	return more < 0 ? -1 : tree_next_entry(&cursor, &u->root, err);
}

/* Unpacks a stored block of at most TREE_BLOCK_SIZE bytes. */
static int read_block(struct unpacker *u, uint64_t start, uint32_t word, uint8_t *out,
	uint32_t *ret_len, struct err *err)
{
	bool raw = (word & TREE_BLOCK_RAW) != 0;
	uint32_t size = word & ~TREE_BLOCK_RAW;
	size_t len;
	if (size > TREE_BLOCK_SIZE)
		return err_raise(err, ERR_CORRUPT, "'%s' has a block that is too large", u->name);
	if (fd_pread_full(u->fd, raw ? out : u->packed, size, start, u->name, &len, err) < 0)
		return -1;
	if (len < size)
		return err_raise(err, ERR_CORRUPT, "'%s' ends too early", u->name);
	if (!raw) {
		len = ZSTD_decompressDCtx(u->zstd, out, TREE_BLOCK_SIZE, u->packed, size);
		if (ZSTD_isError(len))
			return err_raise(err, ERR_CORRUPT, "'%s' is damaged: %s", u->name,
				ZSTD_getErrorName(len));
	}
	*ret_len = (uint32_t)len;
	return 0;
}

static int put(const struct unpacker *u, const void *data, size_t len, struct err *err)
{
	return u->sink->write(u->sink->data, data, len, err);
}

static int put_tail(struct unpacker *u, const struct tree_entry *entry, struct err *err)
{
	uint32_t size = (uint32_t)(entry->size % TREE_BLOCK_SIZE);
	if (size == 0)
		return 0;
	if (entry->fragment != u->tail_fragment) {
		u->tail_fragment = TREE_NO_FRAGMENT;
		if (read_block(u, tree_fragment_start(u->tree, entry->fragment),
			    tree_fragment_size(u->tree, entry->fragment), u->tail, &u->tail_len,
			    err) < 0)
			return -1;
		u->tail_fragment = entry->fragment;
	}
	if (entry->fragment_off > u->tail_len || size > u->tail_len - entry->fragment_off)
		return err_raise(
			err, ERR_CORRUPT, "'%s' has a fragment that is too small", u->name);
	return put(u, u->tail + entry->fragment_off, size, err);
}

int unpacker_contents(struct unpacker *u, const struct tree_entry *entry, struct err *err)
{
	static const uint8_t zeros[TREE_BLOCK_SIZE];
	uint64_t start = entry->start;
	for (uint32_t i = 0; i < entry->block_count; i++) {
		uint32_t word = get_le32(entry->blocks + 4 * (size_t)i), len = TREE_BLOCK_SIZE;
		if (word != 0 && read_block(u, start, word, u->block, &len, err) < 0)
			return -1;
		if (len != TREE_BLOCK_SIZE)
			return err_raise(
				err, ERR_CORRUPT, "'%s' has a block that is too small", u->name);
		if (put(u, word != 0 ? u->block : zeros, len, err) < 0)
			return -1;
		start += word & ~TREE_BLOCK_RAW;
	}
	return put_tail(u, entry, err);
}

static int put_file(struct unpacker *u, const struct tree_entry *entry, struct err *err)
{
	if (nar_file(u->sink, entry->size, entry->type == TREE_EXECUTABLE, err) < 0 ||
		unpacker_contents(u, entry, err) < 0)
		return -1;
	return nar_file_end(u->sink, entry->size, err);
}

/* What is no directory, or the beginning of one. */
static int put_entry(struct unpacker *u, const struct tree_entry *entry, struct err *err)
{
	switch (entry->type) {
	case TREE_DIRECTORY:
		return nar_directory(u->sink, err);
	case TREE_FILE:
	case TREE_EXECUTABLE:
		return put_file(u, entry, err);
	case TREE_SYMLINK:
		return nar_symlink(u->sink, entry->target, entry->target_len, err);
	}
	return 0;
}

/* The entries of the innermost directory up to a subdirectory, which becomes the innermost: 1; or
 * all of them: 0. */
static int put_entries(struct unpacker *u, struct err *err)
{
	struct directory *directory = &u->directories.items[u->open.items[u->open.len - 1]];
	while (directory->next < directory->count) {
		const struct place *place = &u->places.items[directory->first + directory->next++];
		const struct tree_entry *entry = &place->entry;
		if (nar_entry(u->sink, entry->name, entry->name_len, err) < 0 ||
			put_entry(u, entry, err) < 0)
			return -1;
		if (entry->type == TREE_DIRECTORY)
			return vec_push(&u->open, place->directory, err) < 0 ? -1 : 1;
		if (nar_entry_end(u->sink, err) < 0)
			return -1;
	}
	return 0;
}

/* The root's own directory is the last one without a parent. */
static int put_all(struct unpacker *u, struct err *err)
{
	if (nar_begin(u->sink, err) < 0 || put_entry(u, &u->root, err) < 0)
		return -1;
	if (u->root.type != TREE_DIRECTORY)
		return 0;
	while (u->open.len > 0) {
		int more = put_entries(u, err);
		if (more < 0)
			return -1;
		if (more > 0)
			continue;
		u->open.len--;
		if (nar_directory_end(u->sink, err) < 0 ||
			(u->open.len > 0 && nar_entry_end(u->sink, err) < 0))
			return -1;
	}
	return 0;
}

static int prepare(
	struct unpacker *u, struct pool *pool, const struct pool_segment *segment, struct err *err)
{
	u->zstd = ZSTD_createDCtx();
	u->packed = malloc(TREE_BLOCK_SIZE);
	u->block = malloc(TREE_BLOCK_SIZE);
	u->tail = malloc(TREE_BLOCK_SIZE);
	if (u->zstd == NULL || u->packed == NULL || u->block == NULL || u->tail == NULL)
		return err_oom(err);
	if (segment->data_size == 0)
		return 0;
	u->name = pool_object_path(pool, &segment->data, err);
	return u->name != NULL ? fd_open(AT_FDCWD, u->name, O_RDONLY, &u->fd, err) : -1;
}

int unpacker_open(struct unpacker *u, struct pool *pool, const struct pool_segment *segment,
	struct pool_trees *trees, struct err *err)
{
	if (pool_load_trees(pool, segment, 1, trees, err) < 0)
		return -1;
	u->tree = &trees->items[0];
	return prepare(u, pool, segment, err) < 0 ? -1 : read_tree(u, err);
}

int pool_write_nar(struct pool *pool, const struct pool_segment *segment,
	const struct nar_sink *sink, struct err *err)
{
	AUTO_POOL_TREES trees = {0};
	AUTO_UNPACKER u = UNPACKER_INIT;
	u.sink = sink;
	return unpacker_open(&u, pool, segment, &trees, err) < 0 ? -1 : put_all(&u, err);
}
