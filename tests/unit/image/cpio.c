/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/fd.h"
#include "base/path.h"
#include "image/cpio/cpio.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void put(struct cpio *cpio, struct cpio_entry entry)
{
	struct err err = ERR_INIT;
	assert_ok(cpio_put(cpio, &entry, &err));
}

/* One member of each type, with contents whose lengths need every padding. */
static void make(struct cpio *cpio, const char *dir)
{
	struct err err = ERR_INIT;
	put(cpio, (struct cpio_entry){.name = "dev", .mode = S_IFDIR | 0755});
	put(cpio,
		(struct cpio_entry){.name = "dev/console",
			.mode = S_IFCHR | 0600,
			.device_major = 5,
			.device_minor = 1});
	put(cpio,
		(struct cpio_entry){
			.name = "init", .mode = S_IFREG | 0555, .data = "i", .size = 1});
	put(cpio,
		(struct cpio_entry){
			.name = "dev/a name", .mode = S_IFREG | 0444, .data = "aaa", .size = 3});
	put(cpio, (struct cpio_entry){.name = "empty", .mode = S_IFREG | 0444});
	put(cpio,
		(struct cpio_entry){
			.name = "link", .mode = S_IFLNK | 0777, .data = "dev/a name", .size = 10});
	test_write(dir, "source", "0123456789", 10);
	AUTO_FREE char *source = path_printf(&err, "%s/source", dir);
	AUTO_IMAGE contents = {0};
	assert_ok(image_append_file(&contents, source, 1, 6, &err));
	assert_ok(image_append_copy(&contents, "!", 1, &err));
	put(cpio,
		(struct cpio_entry){
			.name = "image", .mode = S_IFREG | 0444, .take_contents = &contents});
	assert_int_equal(contents.size, 0);
	put(cpio,
		(struct cpio_entry){
			.name = "last", .mode = S_IFREG | 0444, .data = "zz", .size = 2});
}

static void save(const struct image *image, const char *dir, const char *name)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *path = path_printf(&err, "%s/%s", dir, name);
	AUTO_FD int fd = -1;
	assert_ok(fd_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, &fd, &err));
	assert_ok(image_write(image, fd, NULL, &err));
}

static void unpacks_with_cpio(void **state)
{
	(void)state;
	if (geteuid() != 0)
		test_skip("device nodes can be unpacked by root only");
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	AUTO_CPIO cpio = {0};
	make(&cpio, dir);
	AUTO_IMAGE image = {0};
	assert_ok(cpio_finish(&cpio, &image, &err));
	assert_int_equal(image.size % 4, 0);
	save(&image, dir, "archive");
	test_shell("mkdir '%s/out' && cd '%s/out' && cpio -idm --quiet <../archive 2>../messages &&"
		   " ! grep . ../messages",
		dir, dir);
	AUTO_FREE char *list = test_shell_output(
		"cd '%s/out' && find . -mindepth 1 -printf '%%P %%M %%u:%%g %%n %%l\\n' | "
		"LC_ALL=C sort && stat -c '%%t:%%T %%Y' dev/console init",
		dir);
	assert_string_equal(list,
		"dev drwxr-xr-x root:root 2 \n"
		"dev/a name -r--r--r-- root:root 1 \n"
		"dev/console crw------- root:root 1 \n"
		"empty -r--r--r-- root:root 1 \n"
		"image -r--r--r-- root:root 1 \n"
		"init -r-xr-xr-x root:root 1 \n"
		"last -r--r--r-- root:root 1 \n"
		"link lrwxrwxrwx root:root 1 dev/a name\n"
		"5:1 1\n0:0 1");
	AUTO_FREE char *contents =
		test_shell_output("cd '%s/out' && cat init 'dev/a name' empty image last", dir);
	assert_string_equal(contents, "iaaa123456!zz");
}

static void same_bytes_twice(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	static uint8_t bytes[2][4096];
	uint64_t size[2];
	for (int i = 0; i < 2; i++) {
		AUTO_CPIO cpio = {0};
		make(&cpio, dir);
		AUTO_IMAGE image = {0};
		assert_ok(cpio_finish(&cpio, &image, &err));
		size[i] = image.size;
		assert_true(size[i] <= sizeof(bytes[i]));
		assert_ok(image_read(&image, 0, bytes[i], size[i], &err));
	}
	assert_int_equal(size[0], size[1]);
	assert_memory_equal(bytes[0], bytes[1], size[0]);
}

static void contents_are_referenced(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_CPIO cpio = {0};
	AUTO_IMAGE contents = {0}, image = {0};
	assert_ok(image_append_file(&contents, "/nowhere", 0, UINT32_MAX, &err));
	put(&cpio,
		(struct cpio_entry){.name = "image.squashfs",
			.mode = S_IFREG | 0444,
			.take_contents = &contents});
	assert_ok(cpio_finish(&cpio, &image, &err));
	assert_int_equal(image.extents.len, 3);
	assert_string_equal(image.extents.items[1].path, "/nowhere");
	assert_int_equal(image.extents.items[1].off % 4, 0);
}

static void refuses_four_gibibytes(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_CPIO cpio = {0};
	AUTO_IMAGE contents = {0};
	assert_ok(image_append_zero(&contents, 1ull << 32, &err));
	const struct cpio_entry entry = {
		.name = "image.squashfs", .mode = S_IFREG | 0444, .take_contents = &contents};
	assert_int_equal(cpio_put(&cpio, &entry, &err), -1);
	assert_err(&err, ERR_LIMIT,
		"'image.squashfs' is too large for a cpio archive (4294967296 > max 4294967295 "
		"bytes)");
	assert_int_equal(contents.size, 0);
}

static void refuses_names(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_CPIO cpio = {0};
	const char *const bad[] = {
		"", "/init", "a//b", "a/", ".", "a/..", "../a", "a/./b", "TRAILER!!!"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO_FREE char *want =
			path_printf(&err, "'%s' cannot name an archive member", bad[i]);
		const struct cpio_entry entry = {.name = bad[i], .mode = S_IFREG | 0444};
		assert_int_equal(cpio_put(&cpio, &entry, &err), -1);
		assert_err(&err, ERR_BUG, want);
	}
	put(&cpio, (struct cpio_entry){.name = "..a/.b", .mode = S_IFREG | 0444});

	static char name[PATH_MAX + 1];
	memset(name, 'n', PATH_MAX);
	const struct cpio_entry longer = {.name = name, .mode = S_IFREG | 0444};
	assert_int_equal(cpio_put(&cpio, &longer, &err), -1);
	assert_err(&err, ERR_LIMIT,
		"the name 'nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn…' of an archive member is too "
		"long "
		"(4096 > max 4095 bytes)");
	const struct cpio_entry link = {
		.name = "link", .mode = S_IFLNK | 0777, .data = name, .size = PATH_MAX + 1};
	assert_int_equal(cpio_put(&cpio, &link, &err), -1);
	assert_err(&err, ERR_LIMIT,
		"the target of the symlink 'link' is too long (4097 > max 4096 bytes)");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unpacks_with_cpio),
		cmocka_unit_test(same_bytes_twice),
		cmocka_unit_test(contents_are_referenced),
		cmocka_unit_test(refuses_four_gibibytes),
		cmocka_unit_test(refuses_names),
	};
	return TEST_MAIN(tests);
}
