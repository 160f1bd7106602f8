/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/bytes.h"
#include "carrier/chunk_tables.h"

#include <string.h>

/* A tree of files whose blocks have the given stored sizes, one behind the other. */
struct forest {
	struct tree_writer writer;
	uint8_t words[64];
	uint64_t size; /* of the segment */
	struct buf bytes;
	struct tree tree;
};

static void begin(struct forest *f, uint32_t files)
{
	struct err err = ERR_INIT;
	*f = (struct forest){0};
	assert_ok(tree_writer_directory(&f->writer, files, &err));
}

static void put_file(
	struct forest *f, const char *name, const uint32_t *words, uint32_t count, uint64_t start)
{
	struct err err = ERR_INIT;
	struct tree_entry e = {.type = TREE_FILE,
		.name = name,
		.name_len = (uint32_t)strlen(name),
		.size = (uint64_t)count * TREE_BLOCK_SIZE,
		.start = start,
		.block_count = count,
		.blocks = f->words,
		.fragment = TREE_NO_FRAGMENT};
	uint64_t end = start;
	for (uint32_t i = 0; i < count; i++) {
		put_le32(f->words + 4 * i, words[i]);
		end += words[i] & ~TREE_BLOCK_RAW;
	}
	assert_ok(tree_writer_entry(&f->writer, &e, &err));
	if (end > f->size)
		f->size = end;
}

static void finish(struct forest *f)
{
	struct err err = ERR_INIT;
	struct digest segment = digest_of("segment", 7);
	struct tree_entry root = {.type = TREE_DIRECTORY, .name = ""};
	assert_ok(tree_writer_entry(&f->writer, &root, &err));
	assert_ok(tree_writer_finish(&f->writer, &segment, f->size, &f->bytes, &err));
	assert_ok(tree_open(f->bytes.data, f->bytes.len, &f->tree, &err));
	assert_ok(tree_check(&f->tree, &err));
	tree_writer_done(&f->writer);
}

static void expect_starts(struct forest *f, const uint64_t *starts, size_t count)
{
	struct err err = ERR_INIT;
	AUTO(chunk_table_done) struct chunk_table table = {0};
	finish(f);
	assert_ok(chunk_table_cut(&f->tree, &table, &err));
	assert_int_equal(table.starts.len, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(table.starts.items[i], starts[i]);
	assert_int_equal(table.size, f->size);
	assert_true(digest_equal(&table.object, &f->tree.segment));
	assert_int_equal(table.digests.len, 0);
	buf_done(&f->bytes);
}

static void a_block_is_a_chunk(void **state)
{
	(void)state;
	struct forest f;
	begin(&f, 1);
	const uint32_t words[] = {40000, TREE_BLOCK_SIZE | TREE_BLOCK_RAW, 0, 33000};
	put_file(&f, "a", words, 4, 0);
	const uint64_t starts[] = {0, 40000, 40000 + TREE_BLOCK_SIZE};
	expect_starts(&f, starts, 3);
}

static void small_blocks_in_a_row_are_one(void **state)
{
	(void)state;
	struct forest f;
	begin(&f, 1);
	/* 32768 fit together, one byte more does not; nor does a small one before a large one. */
	const uint32_t words[] = {16384, 16384, 1, 10000, 100000, 500};
	put_file(&f, "a", words, 6, 0);
	const uint64_t starts[] = {0, 32768, 42769, 142769};
	expect_starts(&f, starts, 4);
}

static void fragments_and_shared_blocks(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct forest f;
	begin(&f, 3);
	/* Two files share their blocks; a fragment lies before them, and another behind. */
	const uint32_t words[] = {50000, 60000};
	assert_ok(tree_writer_fragment(&f.writer, 110020, 70000, &err));
	assert_ok(tree_writer_fragment(&f.writer, 0, 20, &err));
	put_file(&f, "a", words, 2, 20);
	put_file(&f, "b", words, 2, 20);
	put_file(&f, "c", NULL, 0, 0);
	f.size = 180020;
	const uint64_t starts[] = {0, 20, 50020, 110020};
	expect_starts(&f, starts, 4);
}

/* No writer of ours leaves any, but a table must cover everything. */
static void gaps_are_covered(void **state)
{
	(void)state;
	struct forest f;
	begin(&f, 1);
	const uint32_t words[] = {100};
	put_file(&f, "a", words, 1, 300000);
	f.size = 440000;
	const uint64_t starts[] = {0, 131072, 262144, 300000, 300100, 431172};
	expect_starts(&f, starts, 6);
}

static void refuses_blocks_that_overlap(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct forest f;
	begin(&f, 2);
	const uint32_t words[] = {50000};
	put_file(&f, "a", words, 1, 0);
	put_file(&f, "b", words, 1, 20);
	finish(&f);
	struct chunk_table table;
	assert_int_equal(chunk_table_cut(&f.tree, &table, &err), -1);
	assert_err(&err, ERR_CORRUPT,
		"tree has a block at 20 of 50000 bytes that does not fit to the others");
	buf_done(&f.bytes);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_block_is_a_chunk),
		cmocka_unit_test(small_blocks_in_a_row_are_one),
		cmocka_unit_test(fragments_and_shared_blocks),
		cmocka_unit_test(gaps_are_covered),
		cmocka_unit_test(refuses_blocks_that_overlap),
	};
	return TEST_MAIN(tests);
}
