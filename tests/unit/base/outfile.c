/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/fd.h"
#include "base/outfile.h"
#include "base/path.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void appears_whole(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	AUTO_FREE char *path = path_printf(&err, "%s/result", dir);
	test_write(dir, "result", "old", 3);
	AUTO_OUTFILE out = OUTFILE_INIT;
	assert_ok(outfile_open(&out, path, &err));
	assert_ok(fd_write_full(out.fd, "new", 3, path, &err));
	AUTO_FREE char *before = NULL, *after = NULL;
	assert_ok(fd_read_line_file(AT_FDCWD, path, &before, &err));
	assert_string_equal(before, "old");
	assert_ok(outfile_commit(&out, &err));
	assert_ok(fd_read_line_file(AT_FDCWD, path, &after, &err));
	assert_string_equal(after, "new");
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0444, 0444);
}

/* Whoever is killed while it writes leaves nothing, be the file new or not. */
static void has_no_name_before(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	AUTO_FREE char *path = path_printf(&err, "%s/result", dir);
	for (int i = 0; i < 2; i++) {
		AUTO_OUTFILE out = OUTFILE_INIT;
		assert_ok(outfile_open(&out, path, &err));
		assert_ok(fd_write_full(out.fd, "new", 3, path, &err));
		AUTO_FREE char *before = test_shell_output("ls -A '%s'", dir);
		assert_string_equal(before, i == 0 ? "" : "result");
		assert_ok(outfile_commit(&out, &err));
		outfile_done(&out);
		AUTO_FREE char *after = test_shell_output("ls -A '%s'", dir);
		assert_string_equal(after, "result");
	}
}

static void leaves_nothing_behind(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	AUTO_FREE char *path = path_printf(&err, "%s/result", dir);
	struct outfile out = OUTFILE_INIT;
	assert_ok(outfile_open(&out, path, &err));
	outfile_done(&out);
	outfile_done(&out);
	AUTO_FREE char *names = test_shell_output("ls -A '%s'", dir);
	assert_string_equal(names, "");
}

static void names_what_cannot_be_made(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_int_equal(outfile_write("/nonexistent/x", "", 0, &err), -1);
	assert_err(
		&err, ERR_NOT_FOUND, "cannot create '/nonexistent/x': No such file or directory");
}

static void refuse(const char *path, const char *why)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *message = path_printf(&err, "cannot replace '%s': it is %s", path, why);
	assert_int_equal(outfile_write(path, "x", 1, &err), -1);
	assert_err(&err, ERR_USAGE, message);
}

static void replaces_only_files(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	AUTO_FREE char *pipe = path_printf(&err, "%s/pipe", dir);
	AUTO_FREE char *link = path_printf(&err, "%s/link", dir);
	assert_int_equal(mkfifo(pipe, 0600), 0);
	assert_int_equal(symlink("pipe", link), 0);
	refuse(dir, "a directory");
	refuse(pipe, "not a regular file");
	refuse(link, "not a regular file");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appears_whole),
		cmocka_unit_test(has_no_name_before),
		cmocka_unit_test(leaves_nothing_behind),
		cmocka_unit_test(names_what_cannot_be_made),
		cmocka_unit_test(replaces_only_files),
	};
	return TEST_MAIN(tests);
}
