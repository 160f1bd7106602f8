/* SPDX-License-Identifier: MIT */
#include "sample.h"

#include <stdio.h>

/* Reads everything as a composer would; true when it came to the end. Touches all it is given. */
static bool walk(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct tree tree;
	if (tree_open(data, size, &tree, &err) < 0) {
		assert_int_equal(err.kind, ERR_CORRUPT);
		return false;
	}
	volatile uint64_t sum = 0;
	for (uint32_t i = 0; i < tree.fragment_count; i++)
		sum += tree_fragment_start(&tree, i) + tree_fragment_size(&tree, i);
	struct tree_cursor cursor;
	tree_cursor_init(&cursor, &tree);
	uint32_t entries = 0;
	int r;
	do {
		r = tree_next_directory(&cursor, &entries, &err);
		for (uint32_t i = 0; r >= 0 && i < (r > 0 ? entries : 1); i++) {
			struct tree_entry e;
			if (tree_next_entry(&cursor, &e, &err) < 0) {
				r = -1;
				break;
			}
			for (uint32_t j = 0; j < e.name_len; j++)
				sum += (uint8_t)e.name[j];
			for (uint32_t j = 0; j < e.target_len; j++)
				sum += (uint8_t)e.target[j];
			for (uint32_t j = 0; j < 4 * e.block_count; j++)
				sum += e.blocks[j];
		}
	} while (r > 0);
	if (r < 0)
		assert_int_equal(err.kind, ERR_CORRUPT);
	return r == 0;
}

static void expect(struct tree_cursor *cursor, enum tree_type type, const char *name)
{
	struct err err = ERR_INIT;
	struct tree_entry e;
	assert_ok(tree_next_entry(cursor, &e, &err));
	assert_int_equal(e.type, type);
	assert_int_equal(e.name_len, strlen(name));
	assert_memory_equal(e.name, name, e.name_len);
}

static void reads_what_was_written(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF buf = {0};
	sample_build(&buf);
	struct tree tree;
	assert_ok(tree_open(buf.data, buf.len, &tree, &err));
	assert_int_equal(tree.directory_count, 3);
	assert_int_equal(tree.file_count, 3);
	assert_int_equal(tree.symlink_count, 1);
	assert_int_equal(tree.entry_count, 7);
	assert_int_equal(tree.segment_size, SAMPLE_SEGMENT_SIZE);
	assert_int_equal(tree.fragment_count, 1);
	assert_int_equal(tree_fragment_start(&tree, 0), 1000 + TREE_BLOCK_SIZE);
	assert_int_equal(tree_fragment_size(&tree, 0), 50);
	struct digest segment = digest_of("segment", 7);
	assert_true(digest_equal(&tree.segment, &segment));

	struct tree_cursor c;
	uint32_t n;
	struct tree_entry e;
	tree_cursor_init(&c, &tree);
	assert_int_equal(tree_next_directory(&c, &n, &err), 1);
	assert_int_equal(n, 0);
	assert_int_equal(tree_next_directory(&c, &n, &err), 1);
	assert_int_equal(n, 2);
	expect(&c, TREE_DIRECTORY, "b");
	assert_ok(tree_next_entry(&c, &e, &err));
	assert_int_equal(e.type, TREE_SYMLINK);
	assert_int_equal(e.target_len, 4);
	assert_memory_equal(e.target, "../x", 4);
	assert_int_equal(tree_next_directory(&c, &n, &err), 1);
	expect(&c, TREE_DIRECTORY, "a");
	assert_ok(tree_next_entry(&c, &e, &err));
	assert_int_equal(e.size, 3 * TREE_BLOCK_SIZE + 7);
	assert_int_equal(e.block_count, 3);
	assert_int_equal(get_le32(e.blocks), 1000);
	assert_int_equal(get_le32(e.blocks + 4), 0);
	assert_int_equal(e.fragment, 0);
	assert_int_equal(e.fragment_off, 300);
	expect(&c, TREE_FILE, "empty");
	expect(&c, TREE_EXECUTABLE, "tool");
	assert_int_equal(tree_next_directory(&c, &n, &err), 0);
	expect(&c, TREE_DIRECTORY, "");
}

static void refuses_every_truncation(void **state)
{
	(void)state;
	AUTO_BUF buf = {0};
	sample_build(&buf);
	assert_true(walk(buf.data, buf.len));
	for (size_t cut = 0; cut < buf.len; cut++) {
		/* A copy of its exact size lets the sanitizer see a read beyond it. */
		uint8_t *copy = malloc(cut + 1);
		memcpy(copy, buf.data, cut);
		struct err err = ERR_INIT;
		struct tree tree;
		assert_int_equal(tree_open(copy, cut, &tree, &err), -1);
		assert_int_equal(err.kind, ERR_CORRUPT);
		free(copy);
	}
	assert_false(walk(buf.data, 0));
}

static void survives_every_flipped_byte(void **state)
{
	(void)state;
	AUTO_BUF buf = {0};
	sample_build(&buf);
	uint8_t *copy = malloc(buf.len);
	for (size_t i = 0; i < buf.len; i++) {
		memcpy(copy, buf.data, buf.len);
		for (unsigned flip = 1; flip < 256; flip++) {
			copy[i] = buf.data[i] ^ (uint8_t)flip;
			(void)walk(copy, buf.len);
		}
	}
	free(copy);
}

static void names_what_is_wrong(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF buf = {0};
	sample_build(&buf);
	struct tree tree;
	assert_int_equal(tree_open(buf.data, 71, &tree, &err), -1);
	assert_err(&err, ERR_CORRUPT, "not a tree");
	assert_int_equal(tree_open(buf.data, buf.len - 1, &tree, &err), -1);
	char expected[128];
	snprintf(expected, sizeof(expected),
		"tree of %zu bytes, its header says there are %zu behind 1 fragments", buf.len - 1,
		buf.len - 72 - 12);
	assert_err(&err, ERR_CORRUPT, expected);
	buf.data[7] = 2;
	assert_int_equal(tree_open(buf.data, buf.len, &tree, &err), -1);
	assert_err(&err, ERR_CORRUPT, "tree of version 2, this program reads 1");
	buf.data[7] = 1;
	buf.data[59] = 0xff; /* of the number of directories */
	assert_int_equal(tree_open(buf.data, buf.len, &tree, &err), -1);
	snprintf(expected, sizeof(expected), "tree has 4278190087 entries in %zu bytes",
		buf.len - 72 - 12);
	assert_err(&err, ERR_CORRUPT, expected);
	buf.data[59] = 0;
	assert_ok(tree_open(buf.data, buf.len, &tree, &err));
	struct tree_cursor c;
	struct tree_entry e;
	uint32_t n;
	tree_cursor_init(&c, &tree);
	buf.data[72 + 12 + 2] = 0x0f; /* the tag of "b" */
	assert_int_equal(tree_next_directory(&c, &n, &err), 1);
	assert_int_equal(tree_next_entry(&c, &e, &err), -1);
	assert_err(&err, ERR_BUG, "no entry is left in this directory of a tree");
	assert_int_equal(tree_next_directory(&c, &n, &err), 1);
	assert_int_equal(tree_next_directory(&c, &n, &err), -1);
	assert_err(&err, ERR_BUG, "2 entries of a directory were not read");
	assert_int_equal(tree_next_entry(&c, &e, &err), -1);
	assert_err(&err, ERR_CORRUPT,
		"tree is damaged near byte 2 of its body: entry of unknown type");
}

static void writer_refuses_wrong_counts(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_TREE_WRITER w = {0};
	assert_ok(tree_writer_directory(&w, 1, &err));
	assert_int_equal(tree_writer_directory(&w, 1, &err), -1);
	assert_err(&err, ERR_BUG, "a directory begins, but 1 entries are missing");
	struct tree_entry e = sample_entry(TREE_FILE, "f");
	e.size = 5;
	assert_int_equal(tree_writer_entry(&w, &e, &err), -1);
	assert_err(&err, ERR_BUG, "0 blocks for a file of 5 bytes");
	AUTO_BUF out = {0};
	struct digest none = {0};
	assert_int_equal(tree_writer_finish(&w, &none, 0, &out, &err), -1);
	assert_err(&err, ERR_BUG, "a tree without its root entry");
	e = sample_entry(TREE_FILE, "g");
	assert_int_equal(tree_writer_entry(&w, &e, &err), -1);
	assert_err(&err, ERR_BUG, "entry 'g' does not belong here");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_was_written),
		cmocka_unit_test(refuses_every_truncation),
		cmocka_unit_test(survives_every_flipped_byte),
		cmocka_unit_test(names_what_is_wrong),
		cmocka_unit_test(writer_refuses_wrong_counts),
	};
	return TEST_MAIN(tests);
}
