/* SPDX-License-Identifier: MIT */
#include "source/absent.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

static const char *hash_of(size_t i)
{
	static char hash[STORE_PATH_HASH_LEN + 1];
	snprintf(hash, sizeof(hash), "%032zu", i);
	return hash;
}

static void for_a_minute(void **state)
{
	(void)state;
	static struct absent absent;
	assert_false(absent_has(&absent, 0, hash_of(1), 1000));
	absent_put(&absent, 0, hash_of(1), 1000);
	absent_put(&absent, 1, hash_of(2), 1030);
	assert_true(absent_has(&absent, 0, hash_of(1), 1000));
	assert_true(absent_has(&absent, 0, hash_of(1), 1059));
	assert_false(absent_has(&absent, 0, hash_of(1), 1060));
	assert_true(absent_has(&absent, 1, hash_of(2), 1060));
	assert_false(absent_has(&absent, 1, hash_of(1), 1000));
	assert_false(absent_has(&absent, 0, hash_of(2), 1030));
}

static void the_oldest_go_first(void **state)
{
	(void)state;
	static struct absent absent;
	for (size_t i = 0; i < ABSENT_MAX + 10; i++)
		absent_put(&absent, 0, hash_of(i), 1000);
	assert_false(absent_has(&absent, 0, hash_of(9), 1000));
	assert_true(absent_has(&absent, 0, hash_of(10), 1000));
	assert_true(absent_has(&absent, 0, hash_of(ABSENT_MAX + 9), 1000));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(for_a_minute),
		cmocka_unit_test(the_oldest_go_first),
	};
	return TEST_MAIN(tests);
}
