/* SPDX-License-Identifier: MIT */
#include "cache/disk.h"

#include "lab.h"

#include <fcntl.h>
#include <sys/stat.h>

#define MIB (1ull << 20)

static void survives_a_restart(void **state)
{
	(void)state;
	struct lab lab;
	const char *dir = test_tmpdir();
	lab_open(&lab, dir, 64 * MIB, 0);
	for (uint64_t i = 0; i < 300; i++) {
		lab_put(&lab, i);
		lab_run(&lab, NULL, 1);
	}
	lab_settle(&lab);
	assert_int_equal(lab_stat(&lab).disk_chunks, 300);
	for (uint64_t i = 0; i < 300; i++)
		assert_true(lab_get(&lab, i));
	assert_false(lab_get(&lab, 300));
	lab_close(&lab);
	lab_open(&lab, dir, 64 * MIB, 0);
	assert_int_equal(lab_stat(&lab).disk_chunks, 300);
	for (uint64_t i = 0; i < 300; i++) {
		assert_true(lab_get(&lab, i));
		assert_true(lab.tier == CACHE_DISK || i == 0);
	}
	struct cache_stat stat = lab_stat(&lab);
	assert_true(stat.disk_usable);
	assert_int_equal(stat.rotten + stat.disk_errors + stat.disk_slow, 0);
	lab_close(&lab);
}

/* What was put in is written out when the cache closes, and goes on in the same zone. */
static void closing_writes(void **state)
{
	(void)state;
	struct lab lab;
	const char *dir = test_tmpdir();
	for (uint64_t round = 0; round < 5; round++) {
		lab_open(&lab, dir, 64 * MIB, 0);
		for (uint64_t i = 0; i < 20; i++)
			lab_put(&lab, 1000 * round + i);
		lab_close(&lab);
	}
	lab_open(&lab, dir, 64 * MIB, 0);
	for (uint64_t round = 0; round < 5; round++) {
		for (uint64_t i = 0; i < 20; i++)
			assert_true(lab_get(&lab, 1000 * round + i));
	}
	lab_close(&lab);
}

static void quota_is_hard(void **state)
{
	(void)state;
	struct lab lab;
	struct stat file;
	const char *dir = test_tmpdir();
	lab_open(&lab, dir, 12 * MIB, 0);
	for (uint64_t i = 0; i < 1000; i++) {
		lab_put(&lab, i);
		if (i % 50 == 49)
			lab_settle(&lab);
		assert_true(lab_stat(&lab).disk_bytes <= 8 * MIB);
	}
	struct cache_stat stat = lab_stat(&lab);
	assert_int_equal(stat.disk_max, 8 * MIB);
	assert_true(stat.disk_bytes > 5 * MIB);
	assert_true(stat.evicted > 700);
	for (uint64_t i = 980; i < 1000; i++)
		assert_true(lab_get(&lab, i));
	lab_close(&lab);
	char path[256];
	snprintf(path, sizeof(path), "%s/chunks", dir);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &file), 0);
	close(fd);
	assert_int_equal(file.st_size, 12 * MIB);
}

static int compare(const void *a, const void *b)
{
	return digest_compare(a, b);
}

/* Pinned chunks and those that are read stay while five times the quota goes through. */
static void pinned_and_hot_stay(void **state)
{
	(void)state;
	struct lab lab;
	struct digest pins[20];
	for (uint64_t i = 0; i < 20; i++) {
		struct cache_chunk *chunk = lab_chunk(i);
		pins[i] = chunk->digest;
		cache_chunk_unref(chunk);
	}
	qsort(pins, 20, sizeof(pins[0]), compare);
	const char *dir = test_tmpdir();
	lab_open(&lab, dir, 16 * MIB, 0);
	cache_pin(lab.cache, pins, 20);
	for (uint64_t i = 0; i < 40; i++)
		lab_put(&lab, i);
	for (uint64_t i = 40; i < 1200; i++) {
		lab_put(&lab, i);
		if (i % 20 == 0) {
			lab_settle(&lab);
			for (uint64_t hot = 20; hot < 30; hot++)
				assert_true(lab_get(&lab, hot));
		}
	}
	for (uint64_t i = 0; i < 20; i++)
		assert_true(lab_get(&lab, i));
	unsigned cold = 0;
	for (uint64_t i = 30; i < 40; i++)
		cold += lab_get(&lab, i);
	assert_int_equal(cold, 0);
	lab_close(&lab);
	lab_open(&lab, dir, 16 * MIB, 0); /* the copies are found, too */
	for (uint64_t i = 0; i < 30; i++)
		assert_true(lab_get(&lab, i));
	lab_close(&lab);
}

/* A closure larger than the disk keeps what it has, and the rest is not written. */
static void more_pinned_than_fits(void **state)
{
	(void)state;
	enum { COUNT = 600 };
	static struct digest pins[COUNT];
	struct lab lab;
	for (uint64_t i = 0; i < COUNT; i++) {
		struct cache_chunk *chunk = lab_chunk(i);
		pins[i] = chunk->digest;
		cache_chunk_unref(chunk);
	}
	qsort(pins, COUNT, sizeof(pins[0]), compare);
	lab_open(&lab, test_tmpdir(), 12 * MIB, 0);
	cache_pin(lab.cache, pins, COUNT);
	for (uint64_t i = 0; i < COUNT; i++) {
		lab_put(&lab, i);
		if (i % 100 == 99)
			lab_settle(&lab);
	}
	assert_true(lab_stat(&lab).disk_bytes > 5 * MIB);
	for (uint64_t i = 0; i < 30; i++)
		assert_true(lab_get(&lab, i));
	lab_close(&lab);
}

static void smaller_and_larger_quota(void **state)
{
	(void)state;
	struct lab lab;
	const char *dir = test_tmpdir();
	lab_open(&lab, dir, 40 * MIB, 0);
	for (uint64_t i = 0; i < 400; i++) {
		lab_put(&lab, i);
		lab_run(&lab, NULL, 1);
	}
	lab_close(&lab);
	static const uint64_t sizes[] = {12 * MIB, 80 * MIB};
	for (size_t s = 0; s < 2; s++) {
		lab_open(&lab, dir, sizes[s], 0);
		assert_int_equal(lab_stat(&lab).disk_max, sizes[s] - 4 * MIB);
		for (uint64_t i = 0; i < 20; i++)
			assert_true(lab_get(&lab, i));
		assert_false(lab_get(&lab, 399)); /* lay behind the smaller one's end */
		lab_close(&lab);
	}
}

static void notes_stay(void **state)
{
	(void)state;
	struct lab lab;
	const char *dir = test_tmpdir();
	static uint8_t large[LAYOUT_NOTE_MAX];
	memset(large, 'x', sizeof(large));
	lab_open(&lab, dir, 12 * MIB, 0);
	assert_int_equal(cache_note(lab.cache, "serial")->len, 0);
	cache_note_set(lab.cache, "large", large, sizeof(large));
	for (unsigned i = 1; i <= 50; i++) {
		char text[16];
		int len = snprintf(text, sizeof(text), "%u", i);
		cache_note_set(lab.cache, "serial", text, (size_t)len);
		lab_run(&lab, NULL, i % 5 == 0 ? 10 : 0);
		assert_memory_equal(cache_note(lab.cache, "serial")->data, text, len);
	}
	lab_close(&lab);
	lab_open(&lab, dir, 12 * MIB, 0);
	assert_int_equal(cache_note(lab.cache, "serial")->len, 2);
	assert_memory_equal(cache_note(lab.cache, "serial")->data, "50", 2);
	assert_int_equal(cache_note(lab.cache, "large")->len, sizeof(large));
	assert_memory_equal(cache_note(lab.cache, "large")->data, large, sizeof(large));
	lab_log_begin();
	cache_note_set(lab.cache, "larger", large, sizeof(large) + 1);
	assert_string_equal(lab_log.last, "note 'larger' has 65537 bytes > max 65536, ignoring");
	/* Many names: the oldest make place. */
	for (unsigned i = 0; i < 100; i++) {
		char name[16];
		snprintf(name, sizeof(name), "note%u", i);
		cache_note_set(lab.cache, name, name, strlen(name));
		lab_run(&lab, NULL, 2);
	}
	lab_close(&lab);
	lab_open(&lab, dir, 12 * MIB, 0);
	assert_memory_equal(cache_note(lab.cache, "note99")->data, "note99", 6);
	assert_memory_equal(cache_note(lab.cache, "note80")->data, "note80", 6);
	assert_int_equal(cache_note(lab.cache, "serial")->len, 0);
	lab_close(&lab);
	log_setup(LOG_LEVEL_INFO, NULL, NULL);
}

static void memory_alone(void **state)
{
	(void)state;
	struct lab lab;
	lab_open(&lab, NULL, 0, 0);
	cache_note_set(lab.cache, "serial", "7", 1);
	assert_int_equal(cache_note(lab.cache, "serial")->len, 1);
	assert_false(lab_get(&lab, 1));
	assert_false(lab_stat(&lab).disk_usable);
	lab_close(&lab);
	assert_null(cache_close(NULL, 0));
}

static void inventory_of_both(void **state)
{
	(void)state;
	struct lab lab;
	uint8_t bits[CACHE_BUCKETS / 8], want[CACHE_BUCKETS / 8] = {0};
	lab_open(&lab, test_tmpdir(), 64 * MIB, 0);
	for (uint64_t i = 0; i < 100; i++) {
		struct cache_chunk *chunk = lab_chunk(i);
		unsigned bucket =
			(unsigned)chunk->digest.bytes[0] * 4 + chunk->digest.bytes[1] / 64;
		want[bucket / 8] |= (uint8_t)(1 << bucket % 8);
		cache_put(lab.cache, chunk);
		cache_chunk_unref(chunk);
	}
	lab_settle(&lab);
	cache_inventory(lab.cache, bits);
	assert_memory_equal(bits, want, sizeof(bits));
	lab_close(&lab);
}

static void cancelled_read(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct lab lab;
	lab_open(&lab, test_tmpdir(), 64 * MIB, 0);
	lab_put(&lab, 1);
	lab_settle(&lab);
	struct cache_chunk *chunk = lab_chunk(1);
	struct cache_lookup *lookup;
	assert_ok(cache_get(lab.cache, &chunk->digest, chunk->len, lab_found, &lab, &lookup, &err));
	assert_non_null(lookup);
	cache_lookup_cancel(lookup);
	lab_run(&lab, NULL, 50);
	assert_false(lab.is_found);
	assert_true(lab_get(&lab, 1));
	/* One that is under way when the cache closes is never answered. */
	lab.is_found = false;
	assert_ok(cache_get(lab.cache, &chunk->digest, chunk->len, lab_found, &lab, &lookup, &err));
	cache_chunk_unref(chunk);
	cache_lookup_cancel(lookup);
	lab_close(&lab);
	assert_false(lab.is_found);
}

/* A chunk that lies there with another length than asked for is not that chunk. */
static void other_length(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct lab lab;
	lab_open(&lab, test_tmpdir(), 64 * MIB, 0);
	lab_put(&lab, 1);
	lab_settle(&lab);
	struct cache_chunk *chunk = lab_chunk(1);
	struct cache_lookup *lookup;
	assert_ok(cache_get(
		lab.cache, &chunk->digest, chunk->len + 1, lab_found, &lab, &lookup, &err));
	assert_null(lookup);
	assert_true(lab.is_found && lab.chunk == NULL);
	cache_chunk_unref(chunk);
	lab_close(&lab);
}

/* At most 48 bytes of memory for each chunk on the disk. */
static void index_is_compact(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct index index;
	enum { CHUNKS = 200000 };
	assert_int_equal(sizeof(struct index_entry), 32);
	assert_ok(cache_index_init(&index, 64u << 20, 400, &err));
	for (uint32_t i = 0; i < CHUNKS; i++) {
		struct digest digest = digest_of(&i, sizeof(i));
		index.zones[i / 1000].sequence = 1 + i / 1000;
		assert_true(cache_index_add(
			&index, digest.bytes, i / 1000 * index.zone_blocks + i % 1000 * 12, 45000));
	}
	size_t bytes = index.entry_cap * sizeof(struct index_entry) +
		index.bucket_count * sizeof(index.buckets[0]) +
		index.zone_count * sizeof(index.zones[0]);
	print_message("%.1f bytes a chunk\n", (double)bytes / CHUNKS);
	assert_true(bytes <= 48u * CHUNKS);
	for (uint32_t i = 0; i < CHUNKS; i++) {
		struct digest digest = digest_of(&i, sizeof(i));
		assert_non_null(cache_index_find(&index, digest.bytes));
	}
	assert_int_equal(index_empty_zone(&index, 3), 1000);
	assert_int_equal(index.chunks, CHUNKS - 1000);
	assert_int_equal(index_free_zone(&index), 3);
	cache_index_done(&index);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(survives_a_restart),
		cmocka_unit_test(closing_writes),
		cmocka_unit_test(quota_is_hard),
		cmocka_unit_test(pinned_and_hot_stay),
		cmocka_unit_test(more_pinned_than_fits),
		cmocka_unit_test(smaller_and_larger_quota),
		cmocka_unit_test(notes_stay),
		cmocka_unit_test(memory_alone),
		cmocka_unit_test(inventory_of_both),
		cmocka_unit_test(cancelled_read),
		cmocka_unit_test(other_length),
		cmocka_unit_test(index_is_compact),
	};
	return TEST_MAIN(tests);
}
