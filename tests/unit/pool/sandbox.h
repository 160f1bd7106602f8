/* SPDX-License-Identifier: MIT */
#ifndef UNIT_POOL_SANDBOX_H
#define UNIT_POOL_SANDBOX_H

/* A store and a pool in a temporary directory, and what tests of the pool do with them. */

#include "test.h"

#include "base/bytes.h"
#include "base/fd.h"
#include "base/path.h"
#include "nix/nar.h"
#include "pool/pool.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

struct sandbox {
	const char *dir;
	char *store, *pool;
	struct closure closure;
};

static const struct pool_params sandbox_params = {.level = 3, .jobs = 2};

static inline void sandbox_init(struct sandbox *s)
{
	struct err err = ERR_INIT;
	*s = (struct sandbox){.dir = test_tmpdir()};
	s->store = path_printf(&err, "%s/store", s->dir);
	s->pool = path_printf(&err, "%s/pool", s->dir);
	assert_int_equal(mkdir(s->store, 0755), 0);
	s->closure.store_dir = strdup("/nix/store");
	s->closure.real_dir = strdup(s->store);
}

static inline void sandbox_done(struct sandbox *s)
{
	closure_done(&s->closure);
	free(s->store);
	free(s->pool);
}

static inline struct digest sandbox_nar_hash(const char *path, uint64_t *ret_size)
{
	struct err err = ERR_INIT;
	struct nar_hasher hasher;
	nar_hasher_init(&hasher);
	struct nar_sink sink = nar_hasher_sink(&hasher);
	assert_ok(nar_write_path(path, &sink, &err));
	*ret_size = hasher.size;
	return nar_hasher_finish(&hasher);
}

/* Registers store/<name>, which the test has made, as the store would. */
static inline struct path_info *sandbox_register(struct sandbox *s, const char *name)
{
	struct err err = ERR_INIT;
	struct closure *c = &s->closure;
	c->items = realloc(c->items, (c->len + 1) * sizeof(*c->items));
	struct path_info *info = &c->items[c->len++];
	AUTO_FREE char *real = path_printf(&err, "%s/%s", s->store, name);
	*info = (struct path_info){.path = path_printf(&err, "/nix/store/%s", name)};
	info->nar_hash = sandbox_nar_hash(real, &info->nar_size);
	return info;
}

static inline struct pool *sandbox_open(struct sandbox *s)
{
	struct err err = ERR_INIT;
	struct pool *pool;
	assert_ok(pool_open(s->pool, 0, &pool, &err));
	return pool;
}

/* Decompresses one stored block of `full` bytes at most; gives how many it had. */
static inline size_t sandbox_block(
	const struct buf *segment, uint64_t start, uint32_t word, uint8_t *out, size_t full)
{
	uint32_t stored = word & ~TREE_BLOCK_RAW;
	assert_true(start + stored <= segment->len);
	if (stored == 0) {
		memset(out, 0, full);
		return full;
	}
	if ((word & TREE_BLOCK_RAW) != 0) {
		memcpy(out, segment->data + start, stored);
		return stored;
	}
	size_t n = ZSTD_decompress(out, full, segment->data + start, stored);
	assert_false(ZSTD_isError(n));
	return n;
}

static inline void sandbox_unpack_file(const struct tree *tree, const struct tree_entry *e,
	const struct buf *segment, const char *path)
{
	struct err err = ERR_INIT;
	AUTO_FD int fd = -1;
	assert_ok(fd_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, &fd, &err));
	static uint8_t block[TREE_BLOCK_SIZE];
	uint64_t at = e->start, left = e->size;
	for (uint32_t i = 0; i < e->block_count; i++) {
		uint32_t word = get_le32(e->blocks + 4 * i);
		size_t want = left < TREE_BLOCK_SIZE ? (size_t)left : TREE_BLOCK_SIZE;
		if (word == 0) {
			assert_true(lseek(fd, (off_t)want, SEEK_CUR) > 0);
		} else {
			assert_int_equal(sandbox_block(segment, at, word, block, want), want);
			assert_ok(fd_write_full(fd, block, want, path, &err));
		}
		at += word & ~TREE_BLOCK_RAW;
		left -= want;
	}
	if (e->fragment != TREE_NO_FRAGMENT) {
		size_t n = sandbox_block(segment, tree_fragment_start(tree, e->fragment),
			tree_fragment_size(tree, e->fragment), block, TREE_BLOCK_SIZE);
		assert_true(e->fragment_off + left <= n);
		assert_ok(fd_write_full(fd, block + e->fragment_off, left, path, &err));
		left = 0;
	}
	assert_true(left == 0);
	assert_int_equal(ftruncate(fd, (off_t)e->size), 0);
	assert_int_equal(fchmod(fd, e->type == TREE_EXECUTABLE ? 0555 : 0444), 0);
}

/* Puts entry `e` at `path`; a directory is the last unclaimed one of `first_unclaimed`. */
static inline void sandbox_unpack_entry(const struct tree *tree, const struct tree_entry *e,
	const struct buf *segment, const char *path, const char *directory)
{
	if (e->type == TREE_DIRECTORY) {
		assert_int_equal(rename(directory, path), 0);
	} else if (e->type == TREE_SYMLINK) {
		AUTO_FREE char *target = strndup(e->target, e->target_len);
		assert_int_equal(symlink(target, path), 0);
	} else {
		sandbox_unpack_file(tree, e, segment, path);
	}
}

/* Makes <dir>/out from a tree and its segment. */
static inline void sandbox_unpack(
	const struct tree *tree, const struct buf *segment, const char *dir)
{
	struct err err = ERR_INIT;
	uint32_t *stack = calloc((size_t)tree->directory_count + 1, sizeof(*stack));
	uint32_t depth = 0, number = 0, entries;
	struct tree_cursor cursor;
	tree_cursor_init(&cursor, tree);
	struct tree_entry *list = NULL;
	int r;
	while ((r = tree_next_directory(&cursor, &entries, &err)) > 0) {
		AUTO_FREE char *here = path_printf(&err, "%s/%u", dir, number);
		assert_int_equal(mkdir(here, 0755), 0);
		uint32_t subdirectories = 0;
		list = realloc(list, (entries + 1) * sizeof(*list));
		for (uint32_t i = 0; i < entries; i++) {
			assert_ok(tree_next_entry(&cursor, &list[i], &err));
			subdirectories += list[i].type == TREE_DIRECTORY;
		}
		assert_true(subdirectories <= depth);
		depth -= subdirectories;
		uint32_t claimed = depth;
		for (uint32_t i = 0; i < entries; i++) {
			AUTO_FREE char *path = path_printf(
				&err, "%s/%.*s", here, (int)list[i].name_len, list[i].name);
			AUTO_FREE char *sub = path_printf(&err, "%s/%u", dir, stack[claimed]);
			claimed += list[i].type == TREE_DIRECTORY;
			sandbox_unpack_entry(tree, &list[i], segment, path, sub);
		}
		stack[depth++] = number++;
	}
	assert_ok(r);
	struct tree_entry root;
	assert_ok(tree_next_entry(&cursor, &root, &err));
	AUTO_FREE char *path = path_printf(&err, "%s/out", dir);
	AUTO_FREE char *sub = path_printf(&err, "%s/%u", dir, depth > 0 ? stack[depth - 1] : 0);
	sandbox_unpack_entry(tree, &root, segment, path, sub);
	free(stack);
	free(list);
}

/* The pool has the path, and what it has unpacks to the same NAR. */
static inline struct pool_segment sandbox_expect(struct pool *pool, const struct path_info *info)
{
	struct err err = ERR_INIT;
	struct pool_segment segment;
	assert_int_equal(pool_find(pool, &info->nar_hash, &sandbox_params, &segment, &err), 1);
	AUTO_POOL_TREES trees = {0};
	assert_ok(pool_load_trees(pool, &segment, 1, &trees, &err));
	assert_ok(tree_check(&trees.items[0], &err));
	assert_int_equal(trees.items[0].segment_size, segment.data_size);
	AUTO_BUF data = {0};
	if (segment.data_size > 0)
		assert_ok(pool_get(pool, &segment.data, &data, &err));
	assert_int_equal(data.len, segment.data_size);
	const char *dir = test_tmpdir();
	sandbox_unpack(&trees.items[0], &data, dir);
	AUTO_FREE char *out = path_printf(&err, "%s/out", dir);
	uint64_t size;
	struct digest found = sandbox_nar_hash(out, &size);
	assert_true(digest_equal(&found, &info->nar_hash));
	return segment;
}

#endif
