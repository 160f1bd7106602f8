/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/fd.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void missing_file(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	int fd = -1;
	assert_int_equal(fd_open(AT_FDCWD, "/nonexistent/x", O_RDONLY, &fd, &err), -1);
	assert_int_equal(fd, -1);
	assert_err(&err, ERR_NOT_FOUND, "cannot open '/nonexistent/x': No such file or directory");
}

static void whole_files(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	AUTO_FREE char *big = calloc(1, 200000);
	memset(big, 'x', 200000);
	test_write(dir, "big", big, 200000);
	AUTO_FREE char *path = path_printf(&err, "%s/big", dir);
	AUTO_BUF buf = {0};
	assert_ok(fd_read_file(AT_FDCWD, path, 200000, &buf, &err));
	assert_int_equal(buf.len, 200000);
	assert_memory_equal(buf.data, big, 200000);

	buf_clear(&buf);
	assert_int_equal(fd_read_file(AT_FDCWD, path, 199999, &buf, &err), -1);
	AUTO_FREE char *want = path_printf(&err, "'%s' is larger than 199999 bytes", path);
	assert_err(&err, ERR_LIMIT, want);
}

static void lines(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	test_write(dir, "line", "24.05\n\n", 7);
	AUTO_FD int fd = -1;
	assert_ok(fd_open(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, &fd, &err));
	AUTO_FREE char *line = NULL;
	assert_ok(fd_read_line_file(fd, "line", &line, &err));
	assert_string_equal(line, "24.05");
}

/* A source that is shorter than promised is an error, never a shorter copy. */
static void copies_are_exact(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	test_write(dir, "in", "0123456789", 10);
	AUTO_FREE char *in = path_printf(&err, "%s/in", dir);
	AUTO_FREE char *out = path_printf(&err, "%s/out", dir);
	AUTO_FD int src = -1, dst = -1;
	assert_ok(fd_open(AT_FDCWD, in, O_RDONLY, &src, &err));
	assert_ok(fd_open(AT_FDCWD, out, O_RDWR | O_CREAT, &dst, &err));
	assert_ok(fd_copy(src, 2, 5, dst, in, &err));
	assert_int_equal(fd_copy(src, 8, 5, dst, "in", &err), -1);
	assert_err(&err, ERR_CORRUPT, "'in' ends at 10 bytes, 3 are missing");
	char got[16];
	size_t len;
	assert_ok(fd_pread_full(dst, got, 5, 0, out, &len, &err));
	assert_memory_equal(got, "23456", 5);

	int pipe_fds[2];
	assert_int_equal(pipe(pipe_fds), 0);
	assert_ok(fd_copy(src, 0, 10, pipe_fds[1], "in", &err));
	assert_int_equal(read(pipe_fds[0], got, sizeof(got)), 10);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void opens_directories(void **state)
{
	(void)state;
	const char *dir = test_tmpdir();
	test_write(dir, "file", "x", 1);
	AUTO_DIR *entries = fd_opendir(AT_FDCWD, dir);
	assert_non_null(entries);
	assert_int_equal(fcntl(dirfd(entries), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	AUTO_DIR *again = fd_opendir(dirfd(entries), ".");
	assert_non_null(again);
	assert_null(fd_opendir(dirfd(entries), "file"));
	assert_int_equal(errno, ENOTDIR);
	assert_null(fd_opendir(dirfd(entries), "none"));
	assert_int_equal(errno, ENOENT);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(missing_file),
		cmocka_unit_test(whole_files),
		cmocka_unit_test(lines),
		cmocka_unit_test(copies_are_exact),
		cmocka_unit_test(opens_directories),
	};
	return TEST_MAIN(tests);
}
