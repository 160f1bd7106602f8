/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/path.h"
#include "base/vec.h"

#include <string.h>
#include <sys/stat.h>

static void numbers(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	VEC(int) list = {0};
	for (int i = 0; i < 1000; i++)
		assert_int_equal(vec_push(&list, i, &err), 0);
	int sum = 0;
	VEC_FOREACH(it, &list)
		sum += *it;
	assert_int_equal(sum, 499500);
	vec_done(&list);
	assert_null(list.items);
}

static void strings(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_STRVEC list = {0};
	assert_ok(strvec_push(&list, "b", &err));
	assert_ok(strvec_push_n(&list, "a/rest", 1, &err));
	strvec_sort(&list);
	AUTO_FREE char *joined = strvec_join(&list, ", ", &err);
	assert_string_equal(joined, "a, b");
	assert_true(strvec_has(&list, "a"));
	assert_false(strvec_has(&list, "c"));
}

static void directories(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	AUTO_FREE char *deep = path_printf(&err, "%s/a/b/c", dir);
	assert_ok(path_mkdirs(deep, &err));
	assert_ok(path_mkdirs(deep, &err));
	struct stat st;
	assert_int_equal(stat(deep, &st), 0);
	test_write(dir, "file", "", 0);
	AUTO_FREE char *below = path_printf(&err, "%s/file/x", dir);
	assert_int_equal(path_mkdirs(below, &err), -1);
	AUTO_FREE char *want =
		path_printf(&err, "cannot create directory '%s': Not a directory", below);
	assert_err(&err, ERR_NOT_FOUND, want);
	assert_string_equal(path_basename("/nix/store/x-y"), "x-y");
	assert_string_equal(path_basename("x"), "x");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(strings),
		cmocka_unit_test(directories),
	};
	return TEST_MAIN(tests);
}
