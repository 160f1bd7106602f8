/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/fd.h"
#include "base/path.h"
#include "image/image.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "head", 5 bytes of a file from offset 2, zeros up to 64 KiB + 3, a whole file. */
static void make(struct image *image, const char *dir)
{
	struct err err = ERR_INIT;
	test_write(dir, "a", "0123456789", 10);
	test_write(dir, "b", "bbbb", 4);
	AUTO_FREE char *a = path_printf(&err, "%s/a", dir);
	AUTO_FREE char *b = path_printf(&err, "%s/b", dir);
	assert_ok(image_append_copy(image, "head", 4, &err));
	assert_ok(image_append_file(image, a, 2, 5, &err));
	assert_ok(image_append_zero(image, 64 * 1024 + 3 - 9, &err));
	assert_ok(image_append_file(image, b, 0, 4, &err));
	assert_ok(image_append_copy(image, "", 0, &err));
}

static void expect(uint8_t *out)
{
	memset(out, 0, 64 * 1024 + 7);
	memcpy(out, "head23456", 9);
	memcpy(out + 64 * 1024 + 3, "bbbb", 4);
}

static void finds_extents(void **state)
{
	(void)state;
	AUTO_IMAGE image = {0};
	make(&image, test_tmpdir());
	assert_int_equal(image.size, 64 * 1024 + 7);
	assert_int_equal(image.extents.len, 4);
	assert_ptr_equal(image_extent_at(&image, 0), &image.extents.items[0]);
	assert_ptr_equal(image_extent_at(&image, 3), &image.extents.items[0]);
	assert_ptr_equal(image_extent_at(&image, 4), &image.extents.items[1]);
	assert_ptr_equal(image_extent_at(&image, 64 * 1024), &image.extents.items[2]);
	assert_ptr_equal(image_extent_at(&image, image.size - 1), &image.extents.items[3]);
	assert_null(image_extent_at(&image, image.size));
}

static void reads_at_any_offset(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_IMAGE image = {0};
	make(&image, test_tmpdir());
	static uint8_t whole[64 * 1024 + 7], got[sizeof(whole)];
	expect(whole);
	for (size_t off = 0; off < 20; off++)
		for (size_t len = 0; len < 20; len++) {
			assert_ok(image_read(&image, off, got, len, &err));
			assert_memory_equal(got, whole + off, len);
		}
	assert_ok(image_read(&image, 0, got, sizeof(whole), &err));
	assert_memory_equal(got, whole, sizeof(whole));
	assert_int_equal(image_read(&image, sizeof(whole) - 1, got, 2, &err), -1);
	assert_err(&err, ERR_BUG, "2 bytes at 65542 are outside an image of 65543");
}

static void write_to(const char *dir, const char *name, const struct image *image, int flags)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *path = path_printf(&err, "%s/%s", dir, name);
	AUTO_FD int fd = -1;
	assert_ok(fd_open(AT_FDCWD, path, O_WRONLY | O_CREAT | flags, &fd, &err));
	assert_ok(image_write(image, fd, NULL, &err));
}

static void assert_file(const char *dir, const char *name, const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *path = path_printf(&err, "%s/%s", dir, name);
	AUTO_BUF got = {0};
	assert_ok(fd_read_file(AT_FDCWD, path, 1 << 30, &got, &err));
	assert_int_equal(got.len, size);
	assert_memory_equal(got.data, data, size);
}

static void writes_files(void **state)
{
	(void)state;
	const char *dir = test_tmpdir();
	AUTO_IMAGE image = {0};
	make(&image, dir);
	static uint8_t whole[64 * 1024 + 7];
	expect(whole);
	write_to(dir, "new", &image, 0);
	assert_file(dir, "new", whole, sizeof(whole));

	/* Older contents do not shine through where a hole would be. */
	static uint8_t old[100 * 1024];
	memset(old, 'x', sizeof(old));
	test_write(dir, "old", old, sizeof(old));
	write_to(dir, "old", &image, 0);
	memcpy(old, whole, sizeof(whole));
	assert_file(dir, "old", old, sizeof(old));

	test_write(dir, "appended", "", 0);
	write_to(dir, "appended", &image, O_APPEND);
	assert_file(dir, "appended", whole, sizeof(whole));
}

static void leaves_holes(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	AUTO_IMAGE image = {0};
	assert_ok(image_append_zero(&image, 1ull << 32, &err));
	assert_ok(image_append_copy(&image, "end", 3, &err));
	assert_ok(image_align(&image, 1 << 20, &err));
	write_to(dir, "sparse", &image, 0);
	AUTO_FREE char *path = path_printf(&err, "%s/sparse", dir);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, (1ull << 32) + (1 << 20));
	assert_true(st.st_blocks * 512 < 1 << 20);
}

static void writes_pipes(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	AUTO_IMAGE image = {0};
	make(&image, dir);
	static uint8_t whole[64 * 1024 + 7];
	expect(whole);
	AUTO_FREE char *command = path_printf(&err, "cat >'%s/piped'", dir);
	FILE *pipe = popen(command, "we");
	assert_non_null(pipe);
	assert_ok(image_write(&image, fileno(pipe), NULL, &err));
	assert_int_equal(pclose(pipe), 0);
	assert_file(dir, "piped", whole, sizeof(whole));
}

static void names_a_short_file(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	test_write(dir, "short", "0123456789", 10);
	AUTO_FREE char *path = path_printf(&err, "%s/short", dir);
	AUTO_IMAGE image = {0};
	assert_ok(image_append_file(&image, path, 4, 20, &err));
	AUTO_FREE char *want = path_printf(&err, "'%s' ends at 10 bytes, 14 are missing", path);
	uint8_t got[20];
	assert_int_equal(image_read(&image, 0, got, sizeof(got), &err), -1);
	assert_err(&err, ERR_CORRUPT, want);

	AUTO_FREE char *out = path_printf(&err, "%s/out", dir);
	AUTO_FD int fd = -1;
	assert_ok(fd_open(AT_FDCWD, out, O_WRONLY | O_CREAT, &fd, &err));
	assert_int_equal(image_write(&image, fd, NULL, &err), -1);
	assert_err(&err, ERR_CORRUPT, want);

	assert_int_equal(unlink(path), 0);
	AUTO_FREE char *gone =
		path_printf(&err, "cannot open '%s': No such file or directory", path);
	assert_int_equal(image_read(&image, 0, got, sizeof(got), &err), -1);
	assert_err(&err, ERR_NOT_FOUND, gone);
}

static void joins(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_IMAGE image = {0}, more = {0};
	assert_ok(image_append_copy(&image, "abc", 3, &err));
	assert_ok(image_append_copy(&more, "def", 3, &err));
	assert_ok(image_append_zero(&more, 2, &err));
	assert_ok(image_append_image(&image, &more, &err));
	assert_int_equal(more.size, 0);
	assert_int_equal(more.extents.len, 0);
	char got[8];
	assert_ok(image_read(&image, 0, got, sizeof(got), &err));
	assert_memory_equal(got, "abcdef\0\0", 8);
}

/* Parts of any extents, of which nothing is copied. */
static void shows_parts(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_IMAGE of = {0}, image = {0};
	const char *dir = test_tmpdir();
	AUTO_FREE char *path = path_printf(&err, "%s/file", dir);
	test_write(dir, "file", "..0123456789", 12);
	assert_ok(image_append_copy(&of, "abcd", 4, &err));
	assert_ok(image_append_file(&of, path, 2, 10, &err));
	assert_ok(image_append_zero(&of, 4, &err));
	assert_ok(image_append_view(&image, &of, 2, 10, &err));
	assert_ok(image_append_view(&image, &of, 12, 4, &err));
	assert_ok(image_append_view(&image, &of, 18, 0, &err));
	char got[14];
	assert_int_equal(image.size, 14);
	assert_ok(image_read(&image, 0, got, sizeof(got), &err));
	assert_memory_equal(got, "cd0123456789\0\0", 14);
	assert_int_equal(image.owned.len, 0);
	assert_ptr_equal(image.extents.items[0].data, of.extents.items[0].data + 2);
	assert_int_equal(image_append_view(&image, &of, 17, 2, &err), -1);
	assert_err(&err, ERR_BUG, "2 bytes at 17 are outside an image of 18");
}

static void has_a_limit(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_IMAGE image = {0};
	assert_ok(image_append_zero(&image, INT64_MAX, &err));
	assert_int_equal(image_append_zero(&image, 1, &err), -1);
	assert_err(&err, ERR_LIMIT, "an image of 9223372036854775807 bytes cannot grow by 1");
}

struct counter {
	struct progress progress;
	uint64_t total, done;
};

static void count_begin(struct progress *p, const char *step, uint64_t total, const char *unit)
{
	assert_string_equal(step, "write");
	assert_string_equal(unit, "bytes");
	((struct counter *)p)->total = total;
}

static void count_update(struct progress *p, uint64_t done, const char *subject)
{
	(void)subject;
	assert_true(done >= ((struct counter *)p)->done);
	((struct counter *)p)->done = done;
}

static void count_end(struct progress *p)
{
	assert_int_equal(((struct counter *)p)->done, ((struct counter *)p)->total);
}

static void reports_progress(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	AUTO_IMAGE image = {0};
	make(&image, dir);
	struct counter counter = {{count_begin, count_update, count_end}, 0, 0};
	AUTO_FREE char *path = path_printf(&err, "%s/out", dir);
	AUTO_FD int fd = -1;
	assert_ok(fd_open(AT_FDCWD, path, O_WRONLY | O_CREAT, &fd, &err));
	assert_ok(image_write(&image, fd, &counter.progress, &err));
	assert_int_equal(counter.total, 64 * 1024 + 7);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_extents),
		cmocka_unit_test(reads_at_any_offset),
		cmocka_unit_test(writes_files),
		cmocka_unit_test(leaves_holes),
		cmocka_unit_test(writes_pipes),
		cmocka_unit_test(names_a_short_file),
		cmocka_unit_test(joins),
		cmocka_unit_test(shows_parts),
		cmocka_unit_test(has_a_limit),
		cmocka_unit_test(reports_progress),
	};
	return TEST_MAIN(tests);
}
