/* SPDX-License-Identifier: MIT */
#ifndef PACK_H
#define PACK_H

/*
 * Makes a segment and a tree of a file, symlink or directory on disk, with all blocks stored
 * uncompressed, so that the composer can be tested without the pool.
 */

#include "test.h"

#include "base/bytes.h"
#include "base/fd.h"
#include "base/outfile.h"
#include "base/path.h"
#include "tree/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct packer {
	struct buf segment;
	struct buf fragment; /* the fragment block that is being filled */
	uint32_t fragment_count;
	struct tree_writer writer;
};

static void pack_flush_fragment(struct packer *packer)
{
	struct err err = ERR_INIT;
	if (packer->fragment.len == 0)
		return;
	assert_ok(tree_writer_fragment(&packer->writer, packer->segment.len,
		(uint32_t)packer->fragment.len | TREE_BLOCK_RAW, &err));
	assert_ok(buf_put(&packer->segment, packer->fragment.data, packer->fragment.len, &err));
	buf_clear(&packer->fragment);
	packer->fragment_count++;
}

/* Puts one piece where it belongs: a data block, a hole, or the tail in the fragment. */
static void pack_piece(struct packer *packer, const uint8_t *data, size_t len, struct buf *blocks,
	struct tree_entry *entry)
{
	static const uint8_t zeros[TREE_BLOCK_SIZE];
	struct err err = ERR_INIT;
	uint8_t size[4];
	if (len < TREE_BLOCK_SIZE) {
		entry->fragment = packer->fragment_count;
		entry->fragment_off = (uint32_t)packer->fragment.len;
		assert_ok(buf_put(&packer->fragment, data, len, &err));
		return;
	}
	bool hole = memcmp(data, zeros, len) == 0;
	put_le32(size, hole ? 0 : (uint32_t)len | TREE_BLOCK_RAW);
	assert_ok(buf_put(blocks, size, sizeof(size), &err));
	if (!hole)
		assert_ok(buf_put(&packer->segment, data, len, &err));
	entry->block_count++;
}

static void pack_file(
	struct packer *packer, const char *path, struct buf *blocks, struct tree_entry *entry)
{
	static uint8_t data[TREE_BLOCK_SIZE];
	struct err err = ERR_INIT;
	AUTO_FD int fd = -1;
	assert_ok(fd_open(AT_FDCWD, path, O_RDONLY, &fd, &err));
	entry->fragment = TREE_NO_FRAGMENT;
	/* The tail must fit behind what is there, and blocks must not be torn by a flush. */
	if (packer->fragment.len + entry->size % TREE_BLOCK_SIZE > TREE_BLOCK_SIZE)
		pack_flush_fragment(packer);
	entry->start = packer->segment.len;
	size_t len;
	do {
		assert_ok(fd_read_full(fd, data, sizeof(data), path, &len, &err));
		if (len > 0)
			pack_piece(packer, data, len, blocks, entry);
	} while (len == sizeof(data));
}

static void pack_put(
	struct packer *packer, const char *path, const char *name, const struct stat *st)
{
	struct err err = ERR_INIT;
	static char target[4096];
	AUTO_BUF blocks = {0};
	struct tree_entry entry = {
		.name = name, .name_len = (uint32_t)strlen(name), .fragment = TREE_NO_FRAGMENT};
	if (S_ISDIR(st->st_mode)) {
		entry.type = TREE_DIRECTORY;
	} else if (S_ISLNK(st->st_mode)) {
		ssize_t len = readlink(path, target, sizeof(target));
		assert_true(len > 0);
		entry.type = TREE_SYMLINK;
		entry.target = target;
		entry.target_len = (uint32_t)len;
	} else {
		entry.type = (st->st_mode & 0100) != 0 ? TREE_EXECUTABLE : TREE_FILE;
		entry.size = (uint64_t)st->st_size;
		pack_file(packer, path, &blocks, &entry);
		entry.blocks = blocks.data;
	}
	assert_ok(tree_writer_entry(&packer->writer, &entry, &err));
}

static int pack_no_dots(const struct dirent *d)
{
	return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

static int pack_by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void pack_directory(struct packer *packer, const char *path)
{
	struct err err = ERR_INIT;
	struct dirent **names;
	int count = scandir(path, &names, pack_no_dots, pack_by_bytes);
	assert_true(count >= 0);
	struct stat *stats = calloc((size_t)count + 1, sizeof(*stats));
	char **paths = calloc((size_t)count + 1, sizeof(*paths));
	for (int i = 0; i < count; i++) {
		paths[i] = path_printf(&err, "%s/%s", path, names[i]->d_name);
		assert_int_equal(lstat(paths[i], &stats[i]), 0);
		if (S_ISDIR(stats[i].st_mode))
			pack_directory(packer, paths[i]);
	}
	assert_ok(tree_writer_directory(&packer->writer, (uint32_t)count, &err));
	for (int i = 0; i < count; i++) {
		pack_put(packer, paths[i], names[i]->d_name, &stats[i]);
		free(paths[i]);
		free(names[i]);
	}
	free(paths);
	free(names);
	free(stats);
}

/* Packs `path`: the segment goes to the file `segment_path`, the tree to `out`. */
static void pack(const char *path, const char *segment_path, struct buf *out)
{
	struct err err = ERR_INIT;
	struct packer packer = {0};
	struct stat st;
	assert_int_equal(lstat(path, &st), 0);
	if (S_ISDIR(st.st_mode))
		pack_directory(&packer, path);
	pack_put(&packer, path, "", &st);
	pack_flush_fragment(&packer);
	struct digest digest = digest_of(packer.segment.data, packer.segment.len);
	assert_ok(tree_writer_finish(&packer.writer, &digest, packer.segment.len, out, &err));
	assert_ok(outfile_write(segment_path, packer.segment.data, packer.segment.len, &err));
	buf_done(&packer.segment);
	buf_done(&packer.fragment);
	tree_writer_done(&packer.writer);
}

#endif
