/* SPDX-License-Identifier: MIT */
#include "nix/store_path.h"
#include "test.h"

#include "base/mem.h"

#include <string.h>

#define STORE "/nix/store"
#define HASH "0306f0s1fs3630f96a0404c5d6a0c861"

static void good_ones(void **state)
{
	(void)state;
	static const char path[] = STORE "/" HASH "-gcc-13.2+x._?=Z";
	assert_int_equal(store_path_len(path, STORE), sizeof(path) - 1);
	assert_int_equal(
		store_path_len(STORE "/" HASH "-a/bin/sh", STORE), sizeof(STORE "/" HASH "-a") - 1);
	assert_int_equal(
		store_path_len(STORE "/" HASH "-...", STORE), sizeof(STORE "/" HASH "-...") - 1);
	assert_int_equal(store_path_len("/gnu/" HASH "-a", "/gnu"), sizeof("/gnu/" HASH "-a") - 1);
	struct err err = ERR_INIT;
	assert_ok(store_path_check(path, STORE, &err));
}

static void bad_ones(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"/",
		STORE,
		STORE "/",
		STORE "/" HASH,
		STORE "/" HASH "-",
		STORE "/" HASH "/a",
		STORE "//" HASH "-a",
		"/nix/storex/" HASH "-a",
		"nix/store/" HASH "-a",
		STORE "/e306f0s1fs3630f96a0404c5d6a0c861-a",
		STORE "/306f0s1fs3630f96a0404c5d6a0c861-a",
		STORE "/" HASH "-a b",
		STORE "/" HASH "-a\n",
		STORE "/" HASH "-.",
		STORE "/" HASH "-..",
		STORE "/" HASH "-.-x",
		STORE "/" HASH "-..-x",
		STORE "/" HASH "-\303\274",
		STORE "/" HASH "-a*",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(store_path_len(bad[i], STORE), 0);
	struct err err = ERR_INIT;
	assert_int_equal(store_path_check(STORE "/" HASH "-a/b", STORE, &err), -1);
	assert_err(&err, ERR_CORRUPT, "'" STORE "/" HASH "-a/b' is not a store path");
}

static void longest_name(void **state)
{
	(void)state;
	char path[512] = STORE "/" HASH "-";
	size_t start = strlen(path);
	memset(path + start, 'n', 211);
	assert_int_equal(store_path_len(path, STORE), start + 211);
	path[start + 211] = 'n';
	assert_int_equal(store_path_len(path, STORE), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_ones),
		cmocka_unit_test(bad_ones),
		cmocka_unit_test(longest_name),
	};
	return TEST_MAIN(tests);
}
