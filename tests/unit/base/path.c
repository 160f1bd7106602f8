/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/mem.h"
#include "base/path.h"

#include <sys/stat.h>
#include <unistd.h>

static void makes_all_directories(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	AUTO_FREE char *deep = path_printf(&err, "%s/a//b/c", dir);
	struct stat st;
	assert_ok(path_mkdirs(deep, &err));
	assert_ok(path_mkdirs(deep, &err));
	assert_int_equal(stat(deep, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_ok(path_mkdirs("/", &err));
	assert_int_equal(chdir(dir), 0);
	assert_ok(path_mkdirs("x/y", &err));
	assert_int_equal(access("x/y", F_OK), 0);
	assert_int_equal(chdir("/"), 0);
}

static void names_what_cannot_be_made(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_int_equal(path_mkdirs("", &err), -1);
	assert_err(&err, ERR_NOT_FOUND, "cannot create directory '': No such file or directory");
	assert_int_equal(path_mkdirs("/proc/none/x", &err), -1);
	assert_err(&err, ERR_NOT_FOUND,
		"cannot create directory '/proc/none': No such file or directory");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_all_directories),
		cmocka_unit_test(names_what_cannot_be_made),
	};
	return TEST_MAIN(tests);
}
