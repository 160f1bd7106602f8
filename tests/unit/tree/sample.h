/* SPDX-License-Identifier: MIT */
#ifndef UNIT_TREE_SAMPLE_H
#define UNIT_TREE_SAMPLE_H

/* A small tree with one of everything, for the tests of the reader and of the check. */

#include "test.h"

#include "base/bytes.h"
#include "tree/tree.h"

#include <string.h>

static inline struct tree_entry sample_entry(enum tree_type type, const char *name)
{
	return (struct tree_entry){.type = type,
		.name = name,
		.name_len = (uint32_t)strlen(name),
		.fragment = TREE_NO_FRAGMENT};
}

static inline void sample_put(struct tree_writer *w, enum tree_type type, const char *name)
{
	struct err err = ERR_INIT;
	struct tree_entry e = sample_entry(type, name);
	e.target = "../x";
	e.target_len = 4;
	assert_ok(tree_writer_entry(w, &e, &err));
}

static inline void sample_finish(struct tree_writer *w, uint64_t segment_size, struct buf *out)
{
	struct err err = ERR_INIT;
	struct digest segment = digest_of("segment", 7);
	assert_ok(tree_writer_finish(w, &segment, segment_size, out, &err));
}

/*
 * /            a/ -> b/ -> (empty), "link"; "big" of two blocks, a hole and a tail; "empty"; "tool"
 * segment      block 0: 1000 bytes; block 1: raw; fragment: 50 bytes at 132072
 */
#define SAMPLE_SEGMENT_SIZE (1000 + TREE_BLOCK_SIZE + 50)
static inline void sample_build(struct buf *out)
{
	struct err err = ERR_INIT;
	AUTO_TREE_WRITER w = {0};
	assert_ok(tree_writer_fragment(&w, 1000 + TREE_BLOCK_SIZE, 50, &err));
	assert_ok(tree_writer_directory(&w, 0, &err)); /* a/b */
	assert_ok(tree_writer_directory(&w, 2, &err)); /* a */
	sample_put(&w, TREE_DIRECTORY, "b");
	sample_put(&w, TREE_SYMLINK, "link");
	assert_ok(tree_writer_directory(&w, 4, &err)); /* / */
	sample_put(&w, TREE_DIRECTORY, "a");
	uint8_t blocks[12] = {0};
	put_le32(blocks, 1000);
	put_le32(blocks + 8, TREE_BLOCK_SIZE | TREE_BLOCK_RAW);
	struct tree_entry big = sample_entry(TREE_FILE, "big");
	big.size = 3 * TREE_BLOCK_SIZE + 7;
	big.block_count = 3;
	big.blocks = blocks;
	big.fragment = 0;
	big.fragment_off = 300;
	assert_ok(tree_writer_entry(&w, &big, &err));
	sample_put(&w, TREE_FILE, "empty");
	struct tree_entry tool = sample_entry(TREE_EXECUTABLE, "tool");
	tool.size = 300;
	tool.fragment = 0;
	assert_ok(tree_writer_entry(&w, &tool, &err));
	sample_put(&w, TREE_DIRECTORY, "");
	sample_finish(&w, SAMPLE_SEGMENT_SIZE, out);
}

#endif
