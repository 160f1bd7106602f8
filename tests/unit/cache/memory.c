/* SPDX-License-Identifier: MIT */
#include "cache/memory.h"

#include "test.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK 1000u

static struct digest digest_at(unsigned i)
{
	struct digest digest = {{(uint8_t)(i >> 8), (uint8_t)i, [8] = (uint8_t)i}};
	return digest;
}

static void put(struct cache_memory *memory, unsigned i)
{
	struct err err = ERR_INIT;
	struct digest digest = digest_at(i);
	struct cache_chunk *chunk = cache_chunk_new(&digest, CHUNK, &err);
	assert_non_null(chunk);
	memset(chunk->bytes, (int)i, CHUNK);
	cache_memory_put(memory, chunk);
	cache_chunk_unref(chunk);
	assert_true(memory->bytes <= memory->max);
}

static bool has(const struct cache_memory *memory, unsigned i)
{
	struct digest digest = digest_at(i);
	return cache_memory_has(memory, &digest);
}

static void use(struct cache_memory *memory, unsigned i)
{
	struct digest digest = digest_at(i);
	struct cache_chunk *chunk = cache_memory_get(memory, &digest);
	assert_non_null(chunk);
	assert_int_equal(chunk->bytes[CHUNK - 1], (uint8_t)i);
	cache_chunk_unref(chunk);
}

static void init(struct cache_memory *memory, unsigned chunks)
{
	struct err err = ERR_INIT;
	assert_ok(cache_memory_init(memory, (uint64_t)chunks * CHUNK, &err));
}

static void quota_is_hard(void **state)
{
	(void)state;
	struct cache_memory memory;
	init(&memory, 10);
	for (unsigned i = 0; i < 25; i++)
		put(&memory, i);
	assert_int_equal(memory.count, 10);
	assert_int_equal(memory.bytes, 10 * CHUNK);
	assert_int_equal(memory.evicted, 15);
	for (unsigned i = 0; i < 25; i++)
		assert_int_equal(has(&memory, i), i >= 15);
	cache_memory_done(&memory);
}

static void larger_than_the_quota(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct cache_memory memory;
	init(&memory, 2);
	put(&memory, 1);
	struct digest digest = digest_at(2);
	struct cache_chunk *chunk = cache_chunk_new(&digest, 2 * CHUNK + 1, &err);
	assert_non_null(chunk);
	cache_memory_put(&memory, chunk);
	cache_chunk_unref(chunk);
	assert_false(has(&memory, 2));
	assert_true(has(&memory, 1));
	cache_memory_done(&memory);
}

/* One long pass does not push out what was used twice. */
static void scan_resistant(void **state)
{
	(void)state;
	struct cache_memory memory;
	init(&memory, 10);
	for (unsigned i = 0; i < 5; i++) {
		put(&memory, i);
		use(&memory, i);
	}
	for (unsigned i = 100; i < 400; i++)
		put(&memory, i);
	for (unsigned i = 0; i < 5; i++)
		assert_true(has(&memory, i));
	assert_true(memory.protected_bytes <= memory.max / 5 * 4);
	cache_memory_done(&memory);
}

static void protection_ends(void **state)
{
	(void)state;
	struct cache_memory memory;
	init(&memory, 10);
	for (unsigned i = 0; i < 10; i++) {
		put(&memory, i);
		use(&memory, i);
	}
	assert_int_equal(memory.protected_bytes, 8 * CHUNK);
	put(&memory, 10);
	assert_false(has(&memory, 0)); /* the least recently used of all */
	assert_true(has(&memory, 1));
	cache_memory_done(&memory);
}

static void pinned_goes_last(void **state)
{
	(void)state;
	struct cache_memory memory;
	struct digest pinned[20];
	for (unsigned i = 0; i < 20; i++)
		pinned[i] = digest_at(i);
	init(&memory, 10);
	put(&memory, 0);
	put(&memory, 1);
	put(&memory, 100);
	use(&memory, 100);
	cache_memory_pin(&memory, &(struct cache_pins){pinned, 20});
	for (unsigned i = 200; i < 300; i++)
		put(&memory, i);
	assert_true(has(&memory, 0) && has(&memory, 1) && has(&memory, 100));
	for (unsigned i = 2; i < 10; i++)
		put(&memory, i);
	assert_false(has(&memory, 100)); /* used twice, but not pinned */
	for (unsigned i = 0; i < 10; i++)
		assert_true(has(&memory, i));
	put(&memory, 10); /* among pinned ones the oldest goes */
	assert_false(has(&memory, 0));
	cache_memory_pin(&memory, &(struct cache_pins){pinned + 5, 1});
	for (unsigned i = 200; i < 220; i++)
		put(&memory, i);
	assert_true(has(&memory, 5));
	assert_false(has(&memory, 6));
	cache_memory_done(&memory);
}

static void table_grows(void **state)
{
	(void)state;
	struct cache_memory memory;
	init(&memory, 5000);
	for (unsigned i = 0; i < 5000; i++)
		put(&memory, i);
	assert_true(memory.bucket_count >= 4096);
	for (unsigned i = 0; i < 5000; i++)
		use(&memory, i);
	cache_memory_done(&memory);
}

/* A reference outlives the cache's own. */
static void references_keep(void **state)
{
	(void)state;
	struct cache_memory memory;
	init(&memory, 1);
	put(&memory, 7);
	struct digest digest = digest_at(7);
	struct cache_chunk *chunk = cache_memory_get(&memory, &digest);
	put(&memory, 8);
	assert_false(has(&memory, 7));
	cache_memory_done(&memory);
	assert_int_equal(chunk->bytes[0], 7);
	assert_null(cache_chunk_unref(chunk));
	assert_null(cache_chunk_unref(NULL));
}

static void buckets_counted(void **state)
{
	(void)state;
	struct cache_memory memory;
	init(&memory, 2);
	put(&memory, 0xffff);
	assert_int_equal(memory.by_bucket[1023], 1);
	put(&memory, 0x0040);
	assert_int_equal(memory.by_bucket[1], 1);
	put(&memory, 0x0000);
	assert_int_equal(memory.by_bucket[1023], 0);
	cache_memory_done(&memory);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quota_is_hard),
		cmocka_unit_test(larger_than_the_quota),
		cmocka_unit_test(scan_resistant),
		cmocka_unit_test(protection_ends),
		cmocka_unit_test(pinned_goes_last),
		cmocka_unit_test(table_grows),
		cmocka_unit_test(references_keep),
		cmocka_unit_test(buckets_counted),
	};
	return TEST_MAIN(tests);
}
