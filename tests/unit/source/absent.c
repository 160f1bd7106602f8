/* SPDX-License-Identifier: MIT */
#include "source/absent.h"
#include "test.h"

#include "base/mem.h"
#include "base/path.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW INT64_C(1800000000)

static const char *hash_of(size_t i)
{
	static char hash[STORE_PATH_HASH_LEN + 1];
	snprintf(hash, sizeof(hash), "%032zu", i);
	return hash;
}

static void by_age(void **state)
{
	(void)state;
	static struct absent absent = {.kept_s = 3600};
	assert_int_equal(absent_find(&absent, 7, hash_of(1), NOW), ABSENCE_UNKNOWN);
	absent_put(&absent, 7, hash_of(1), NOW);
	absent_put(&absent, 8, hash_of(2), NOW);
	assert_int_equal(absent_find(&absent, 7, hash_of(1), NOW), ABSENCE_JUST_NOW);
	assert_int_equal(absent_find(&absent, 7, hash_of(1), NOW + 59), ABSENCE_JUST_NOW);
	assert_int_equal(absent_find(&absent, 7, hash_of(1), NOW + 60), ABSENCE_BEFORE);
	assert_int_equal(absent_find(&absent, 7, hash_of(1), NOW + 3599), ABSENCE_BEFORE);
	assert_int_equal(absent_find(&absent, 7, hash_of(1), NOW + 3600), ABSENCE_UNKNOWN);
	assert_int_equal(absent_find(&absent, 7, hash_of(1), NOW - 1), ABSENCE_UNKNOWN);
	assert_int_equal(absent_find(&absent, 8, hash_of(1), NOW), ABSENCE_UNKNOWN);
	assert_int_equal(absent_find(&absent, 7, hash_of(2), NOW), ABSENCE_UNKNOWN);
	absent_put(&absent, 7, hash_of(1), NOW + 100);
	assert_int_equal(absent_find(&absent, 7, hash_of(1), NOW + 159), ABSENCE_JUST_NOW);
}

/* What does not fit takes the place of something older, and nothing else is forgotten. */
static void what_is_new_replaces(void **state)
{
	(void)state;
	static struct absent absent = {.kept_s = 3600};
	size_t found = 0;
	for (size_t i = 0; i < ABSENT_PLACES; i++) {
		absent_put(&absent, 0, hash_of(i), NOW);
		assert_int_equal(absent_find(&absent, 0, hash_of(i), NOW), ABSENCE_JUST_NOW);
	}
	for (size_t i = 0; i < ABSENT_PLACES; i++)
		found += absent_find(&absent, 0, hash_of(i), NOW) != ABSENCE_UNKNOWN;
	/* 1 - 1/e of the places are taken when as many come at random. */
	assert_in_range(found, ABSENT_PLACES / 2, ABSENT_PLACES);
}

static void from_process_to_process(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	static struct absent first = {.kept_s = 3600}, second = {.kept_s = 3600},
			     third = {.kept_s = 10}, nothing = {.kept_s = 3600};
	AUTO_FREE char *path = path_printf(&err, "%s/absent", test_tmpdir());
	assert_ok(absent_load(&first, path, NOW, &err));
	assert_ok(absent_save(&first, path, NOW, &err)); /* nothing changed: no file */
	struct stat st;
	assert_int_equal(stat(path, &st), -1);
	absent_put(&first, 7, hash_of(1), NOW);
	absent_put(&first, UINT64_MAX, hash_of(2), NOW + 20);
	assert_ok(absent_save(&first, path, NOW + 20, &err));
	assert_ok(absent_load(&second, path, NOW + 21, &err));
	/* Who was not told so himself is less sure. */
	assert_int_equal(absent_find(&second, 7, hash_of(1), NOW + 21), ABSENCE_BEFORE);
	assert_int_equal(absent_find(&second, UINT64_MAX, hash_of(2), NOW + 21), ABSENCE_BEFORE);
	assert_int_equal(absent_find(&second, 7, hash_of(3), NOW + 21), ABSENCE_UNKNOWN);
	assert_ok(absent_load(&third, path, NOW + 21, &err));
	assert_int_equal(absent_find(&third, 7, hash_of(1), NOW + 21), ABSENCE_UNKNOWN);
	assert_int_equal(absent_find(&third, UINT64_MAX, hash_of(2), NOW + 21), ABSENCE_BEFORE);
	/* Of a file that breaks off the whole records count, of one that is none of ours none. */
	assert_int_equal(truncate(path, 8 + 48 + 47), 0);
	memset(&second.places, 0, sizeof(second.places));
	assert_ok(absent_load(&second, path, NOW + 21, &err));
	size_t found = absent_find(&second, 7, hash_of(1), NOW + 21) == ABSENCE_BEFORE;
	found += absent_find(&second, UINT64_MAX, hash_of(2), NOW + 21) == ABSENCE_BEFORE;
	assert_int_equal(found, 1);
	test_write(test_tmpdir(), "absent", "nonsense, and more of it", 24);
	assert_ok(absent_load(&nothing, path, NOW, &err));
	test_write(test_tmpdir(), "absent", "x", 1);
	assert_ok(absent_load(&nothing, path, NOW, &err));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_age),
		cmocka_unit_test(what_is_new_replaces),
		cmocka_unit_test(from_process_to_process),
	};
	return TEST_MAIN(tests);
}
