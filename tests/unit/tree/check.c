/* SPDX-License-Identifier: MIT */
#include "sample.h"

#include <stdio.h>

static int check(const struct buf *buf, struct err *err)
{
	struct tree tree;
	if (tree_open(buf->data, buf->len, &tree, err) < 0)
		return -1;
	return tree_check(&tree, err);
}

/* A tree whose root directory has these entries. */
static void build_flat(const struct tree_entry *entries, uint32_t count, struct buf *out)
{
	struct err err = ERR_INIT;
	AUTO_TREE_WRITER w = {0};
	assert_ok(tree_writer_directory(&w, count, &err));
	for (uint32_t i = 0; i < count; i++)
		assert_ok(tree_writer_entry(&w, &entries[i], &err));
	sample_put(&w, TREE_DIRECTORY, "");
	sample_finish(&w, 1000, out);
}

static void refuse_flat(const struct tree_entry *entries, uint32_t count, const char *message)
{
	struct err err = ERR_INIT;
	AUTO_BUF buf = {0};
	build_flat(entries, count, &buf);
	assert_int_equal(check(&buf, &err), -1);
	assert_err(&err, ERR_CORRUPT, message);
}

static void accepts_the_sample(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF buf = {0};
	sample_build(&buf);
	assert_ok(check(&buf, &err));
}

static void accepts_other_roots(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const enum tree_type types[] = {TREE_FILE, TREE_EXECUTABLE, TREE_SYMLINK};
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		AUTO_BUF buf = {0};
		AUTO_TREE_WRITER w = {0};
		sample_put(&w, types[i], "");
		sample_finish(&w, 0, &buf);
		assert_ok(check(&buf, &err));
	}
}

static void refuses_bad_names(void **state)
{
	(void)state;
	struct tree_entry e = sample_entry(TREE_FILE, "..");
	refuse_flat(&e, 1, "tree has the forbidden name '..'");
	e = sample_entry(TREE_FILE, ".");
	refuse_flat(&e, 1, "tree has the forbidden name '.'");
	e = sample_entry(TREE_FILE, "a/b");
	refuse_flat(&e, 1, "tree has the forbidden name 'a/b'");
	e = sample_entry(TREE_FILE, "ab");
	e.name = "a\0";
	refuse_flat(&e, 1, "tree has the forbidden name 'a'");
}

static void refuses_disorder(void **state)
{
	(void)state;
	struct tree_entry e[2] = {sample_entry(TREE_FILE, "b"), sample_entry(TREE_FILE, "a")};
	refuse_flat(e, 2, "tree has 'a' behind 'b'");
	e[0] = sample_entry(TREE_FILE, "a");
	refuse_flat(e, 2, "tree has 'a' behind 'a'");
	e[0] = sample_entry(TREE_FILE, "ab");
	refuse_flat(e, 2, "tree has 'a' behind 'ab'");
	/* By bytes, not by any locale's or signed order. */
	struct err err = ERR_INIT;
	e[0] = sample_entry(TREE_FILE, "Z");
	e[1] = sample_entry(TREE_FILE, "\xc3\xa4");
	AUTO_BUF buf = {0};
	build_flat(e, 2, &buf);
	assert_ok(check(&buf, &err));
}

static void refuses_unclaimed_directories(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF missing = {0};
	AUTO_TREE_WRITER m = {0};
	assert_ok(tree_writer_directory(&m, 1, &err));
	sample_put(&m, TREE_DIRECTORY, "d");
	assert_ok(tree_writer_directory(&m, 0, &err));
	sample_put(&m, TREE_DIRECTORY, "");
	sample_finish(&m, 0, &missing);
	assert_int_equal(check(&missing, &err), -1);
	assert_err(&err, ERR_CORRUPT, "tree has the directory 'd' without its entries");
	AUTO_BUF buf = {0};
	AUTO_TREE_WRITER w = {0};
	assert_ok(tree_writer_directory(&w, 0, &err));
	assert_ok(tree_writer_directory(&w, 0, &err));
	sample_put(&w, TREE_DIRECTORY, "");
	sample_finish(&w, 0, &buf);
	assert_int_equal(check(&buf, &err), -1);
	assert_err(&err, ERR_CORRUPT, "tree has directories outside its root");
}

static void refuses_bad_blocks(void **state)
{
	(void)state;
	uint8_t word[4];
	struct tree_entry e = sample_entry(TREE_FILE, "f");
	e.size = 700;
	e.block_count = 1;
	e.blocks = word;
	put_le32(word, 699);
	e.start = 302;
	refuse_flat(&e, 1, "tree has a block at 302 of 699 bytes, its segment has 1000");
	e.start = UINT64_MAX;
	refuse_flat(&e, 1,
		"tree has a block at 18446744073709551615 of 699 bytes, its segment has 1000");
	e.start = 0;
	put_le32(word, 700);
	refuse_flat(&e, 1, "tree has a compressed block of 700 bytes for 700");
	put_le32(word, 699 | TREE_BLOCK_RAW);
	refuse_flat(&e, 1, "tree has a raw block of 699 bytes for 700");
	put_le32(word, 700 | TREE_BLOCK_RAW);
	struct err err = ERR_INIT;
	AUTO_BUF buf = {0};
	build_flat(&e, 1, &buf);
	assert_ok(check(&buf, &err));
}

static void refuses_bad_fragments(void **state)
{
	(void)state;
	const struct {
		uint64_t start;
		uint32_t size;
		const char *message;
	} bad[] = {
		{0, 0, "tree has a fragment of 0 bytes"},
		{0, TREE_BLOCK_RAW, "tree has a fragment of 0 bytes"},
		{0, 131073 | TREE_BLOCK_RAW, "tree has a fragment of 131073 bytes"},
		{0, TREE_BLOCK_SIZE, "tree has a compressed block of 131072 bytes for 131072"},
		{990, 11, "tree has a block at 990 of 11 bytes, its segment has 1000"},
	};
	struct err err = ERR_INIT;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO_BUF buf = {0};
		AUTO_TREE_WRITER w = {0};
		assert_ok(tree_writer_fragment(&w, bad[i].start, bad[i].size, &err));
		sample_put(&w, TREE_FILE, "");
		sample_finish(&w, 1000, &buf);
		assert_int_equal(check(&buf, &err), -1);
		assert_err(&err, ERR_CORRUPT, bad[i].message);
	}
}

static void survives_every_flipped_byte(void **state)
{
	(void)state;
	AUTO_BUF buf = {0};
	sample_build(&buf);
	for (size_t i = 0; i < buf.len; i++) {
		for (unsigned flip = 1; flip < 256; flip++) {
			struct err err = ERR_INIT;
			buf.data[i] ^= (uint8_t)flip;
			if (check(&buf, &err) < 0)
				assert_int_equal(err.kind, ERR_CORRUPT);
			buf.data[i] ^= (uint8_t)flip;
		}
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_the_sample),
		cmocka_unit_test(accepts_other_roots),
		cmocka_unit_test(refuses_bad_names),
		cmocka_unit_test(refuses_disorder),
		cmocka_unit_test(refuses_unclaimed_directories),
		cmocka_unit_test(refuses_bad_blocks),
		cmocka_unit_test(refuses_bad_fragments),
		cmocka_unit_test(survives_every_flipped_byte),
	};
	return TEST_MAIN(tests);
}
