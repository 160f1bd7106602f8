/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/bytes.h"
#include "manifest/chunk.h"

#include <string.h>

/* A segment of 300,000 bytes with starts on no boundary, two of them within one KiB. */
static void sample(struct chunk_table *table)
{
	static const uint64_t starts[] = {0, 30000, 161000, 161500, 161900, 290000};
	struct err err = ERR_INIT;
	*table = (struct chunk_table){.object = digest_of("segment", 7), .size = 300000};
	for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
		struct digest digest = digest_of(&starts[i], sizeof(starts[i]));
		assert_ok(vec_push(&table->starts, starts[i], &err));
		assert_ok(vec_push(&table->digests, digest, &err));
	}
}

static void is_rounded_outwards(void **state)
{
	(void)state;
	AUTO(chunk_table_done) struct chunk_table table;
	sample(&table);
	const uint64_t ends[][2] = {{0, 30720}, {29696, 161792}, {160768, 161792}, {160768, 162816},
		{161792, 290816}, {289792, 300000}};
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		struct chunk chunk = chunk_table_at(&table, i);
		assert_int_equal(chunk.off, ends[i][0]);
		assert_int_equal(chunk.off + chunk.len, ends[i][1]);
		assert_true(chunk.len <= CHUNK_MAX);
		assert_true(digest_equal(&chunk.object, &table.object));
		assert_true(digest_equal(&chunk.digest, &table.digests.items[i]));
	}
}

/* Against the definition, for every byte. */
static void finds_the_one_that_reaches_farthest(void **state)
{
	(void)state;
	AUTO(chunk_table_done) struct chunk_table table;
	sample(&table);
	for (uint64_t off = 0; off < table.size; off++) {
		size_t best = SIZE_MAX;
		uint64_t reach = 0;
		for (size_t i = 0; i < table.starts.len; i++) {
			struct chunk chunk = chunk_table_at(&table, i);
			if (chunk.off > off || chunk.off + chunk.len <= off ||
				chunk.off + chunk.len < reach)
				continue;
			best = i;
			reach = chunk.off + chunk.len;
		}
		if (chunk_table_find(&table, off) != best)
			fail_msg("byte %ju: %zu, not %zu", (uintmax_t)off,
				chunk_table_find(&table, off), best);
	}
}

static void reads_back_what_it_writes(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(chunk_table_done) struct chunk_table table, again = {0};
	AUTO_BUF bytes = {0}, twice = {0};
	sample(&table);
	assert_ok(chunk_table_encode(&table, &bytes, &err));
	assert_int_equal(bytes.len, 52 + 6 * 36);
	assert_ok(chunk_table_decode(bytes.data, bytes.len, &again, &err));
	assert_int_equal(again.size, table.size);
	assert_true(digest_equal(&again.object, &table.object));
	assert_memory_equal(again.starts.items, table.starts.items, 6 * sizeof(uint64_t));
	assert_memory_equal(again.digests.items, table.digests.items, 6 * sizeof(struct digest));
	assert_ok(chunk_table_encode(&again, &twice, &err));
	assert_int_equal(twice.len, bytes.len);
	assert_memory_equal(twice.data, bytes.data, bytes.len);
}

static void every_truncation_fails_cleanly(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(chunk_table_done) struct chunk_table table, cut = {0};
	AUTO_BUF bytes = {0};
	sample(&table);
	assert_ok(chunk_table_encode(&table, &bytes, &err));
	for (size_t len = 0; len < bytes.len; len++) {
		AUTO_FREE uint8_t *copy = malloc(len + 1);
		memcpy(copy, bytes.data, len);
		assert_int_equal(chunk_table_decode(copy, len, &cut, &err), -1);
		assert_int_equal(err.kind, ERR_CORRUPT);
		err_reset(&err);
	}
}

static void says_what_is_wrong(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct chunk_table got;
	AUTO(chunk_table_done) struct chunk_table table;
	AUTO_BUF good = {0};
	sample(&table);
	assert_ok(chunk_table_encode(&table, &good, &err));
	const struct {
		size_t at;
		uint32_t value;
		enum err_kind kind;
		const char *msg;
	} cases[] = {
		{0, 0, ERR_CORRUPT, "not a chunk table"},
		{4, 0x02004b4e, ERR_UNSUPPORTED, "chunk table of version 2, this program reads 1"},
		{48, 7, ERR_CORRUPT, "chunk table of 268 bytes cannot have 7 chunks"},
		{40, 300001, ERR_CORRUPT,
			"chunk table: its chunks have 300000 bytes, its segment 300001"},
		{52, 30001, ERR_CORRUPT,
			"chunk table: its chunks have 300001 bytes, its segment 300000"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_BUF bad = {0};
		assert_ok(buf_put(&bad, good.data, good.len, &err));
		put_le32(bad.data + cases[i].at, cases[i].value);
		assert_int_equal(chunk_table_decode(bad.data, bad.len, &got, &err), -1);
		assert_err(&err, cases[i].kind, cases[i].msg);
	}
	/* One chunk that is empty and one that is too long, in a table that adds up. */
	put_le32(good.data + 52 + 36, 0);
	put_le32(good.data + 52, 161000);
	assert_int_equal(chunk_table_decode(good.data, good.len, &got, &err), -1);
	assert_err(&err, ERR_CORRUPT,
		"chunk table: chunk 0 goes from 0 to 161000, of at most 131072 bytes");
	put_le32(good.data + 52, 0);
	put_le32(good.data + 52 + 36, 161000);
	assert_int_equal(chunk_table_decode(good.data, good.len, &got, &err), -1);
	assert_err(&err, ERR_CORRUPT,
		"chunk table: chunk 0 goes from 0 to 0, of at most 131072 bytes");
	put_le64(good.data + 40, 0);
	put_le32(good.data + 48, 0);
	assert_int_equal(chunk_table_decode(good.data, 52, &got, &err), -1);
	assert_err(&err, ERR_CORRUPT, "chunk table is empty");
	AUTO_BUF out = {0};
	table.starts.len--;
	assert_int_equal(chunk_table_encode(&table, &out, &err), -1);
	assert_err(&err, ERR_BUG, "chunk table has 5 starts and 6 digests");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_rounded_outwards),
		cmocka_unit_test(finds_the_one_that_reaches_farthest),
		cmocka_unit_test(reads_back_what_it_writes),
		cmocka_unit_test(every_truncation_fails_cleanly),
		cmocka_unit_test(says_what_is_wrong),
	};
	return TEST_MAIN(tests);
}
