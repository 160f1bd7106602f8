/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/fd.h"
#include "carrier/firmware.h"

#include <fcntl.h>
#include <string.h>

static const char *make_dir(int *ret_root)
{
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	/* As buildEnv makes it: a folder of symlinks to other store paths, by absolute names. */
	test_shell("cd %s && mkdir -p nix/store/fw/lib/firmware/a nix/store/other && "
		   "printf plain >nix/store/fw/lib/firmware/plain.bin && "
		   "printf zstandard | zstd -q >nix/store/fw/lib/firmware/a/b.fw.zst && "
		   "printf lzma | xz --check=crc32 >nix/store/other/c.xz && "
		   "ln -s /nix/store/other/c.xz nix/store/fw/lib/firmware/c.xz && "
		   "printf broken >x && (xz -c x | head -c 40) >nix/store/fw/lib/firmware/d.xz && "
		   "ln -s /nix/store/gone nix/store/fw/lib/firmware/gone && printf secret >secret",
		dir);
	assert_ok(fd_open(AT_FDCWD, dir, O_PATH | O_DIRECTORY, ret_root, &err));
	return dir;
}

static void finds_every_form(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_FD int root = -1;
	make_dir(&root);
	static const struct {
		const char *name, *contents;
	} cases[] = {{"plain.bin", "plain"}, {"a/b.fw", "zstandard"}, {"c", "lzma"}, {"gone", NULL},
		{"nothing", NULL}, {"", NULL}, {"/secret", NULL}, {"../../../../secret", NULL},
		{"a/./b.fw", NULL}, {"a//b.fw", NULL}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_BUF out = {0};
		int r = firmware_read(
			root, "/nix/store/fw/lib/firmware", cases[i].name, &out, &err);
		assert_int_equal(r, cases[i].contents != NULL);
		if (r == 1) {
			assert_int_equal(out.len, strlen(cases[i].contents));
			assert_memory_equal(out.data, cases[i].contents, out.len);
		}
	}
}

static void damaged(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_FD int root = -1;
	make_dir(&root);
	AUTO_BUF out = {0};
	assert_int_equal(firmware_read(root, "/nix/store/fw/lib/firmware", "d", &out, &err), -1);
	assert_err(
		&err, ERR_CORRUPT, "firmware '/nix/store/fw/lib/firmware/d.xz': damaged xz data");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_every_form),
		cmocka_unit_test(damaged),
	};
	return TEST_MAIN(tests);
}
