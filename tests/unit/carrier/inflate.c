/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/fd.h"
#include "carrier/inflate.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* 600 KB: more than one piece of the decompressor. */
static void make_plain(struct buf *out)
{
	struct err err = ERR_INIT;
	for (int i = 0; i < 75000; i++)
		assert_ok(buf_printf(out, &err, "%07d\n", i));
}

static void read_file(const char *dir, const char *name, struct buf *out)
{
	struct err err = ERR_INIT;
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_ok(fd_read_file(AT_FDCWD, path, SIZE_MAX / 4, out, &err));
}

static void one_format(const char *tool, const char *name)
{
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	AUTO_BUF plain = {0}, packed = {0}, out = {0};
	make_plain(&plain);
	test_write(dir, "plain", plain.data, plain.len);
	test_shell("%s -c %s/plain >%s/packed", tool, dir, dir);
	read_file(dir, "packed", &packed);

	assert_ok(inflate_bytes(packed.data, packed.len, plain.len, &out, &err));
	assert_int_equal(out.len, plain.len);
	assert_memory_equal(out.data, plain.data, plain.len);

	buf_clear(&out);
	assert_int_equal(inflate_bytes(packed.data, packed.len, plain.len - 1, &out, &err), -1);
	assert_err(&err, ERR_LIMIT, "decompressed contents exceed 599999 bytes");

	char damaged[64];
	snprintf(damaged, sizeof(damaged), "damaged %s data", name);
	for (size_t len = 6; len < packed.len; len += 1 + packed.len / 97) {
		buf_clear(&out);
		assert_int_equal(inflate_bytes(packed.data, len, plain.len, &out, &err), -1);
		assert_err(&err, ERR_CORRUPT, damaged);
	}
	packed.data[packed.len / 2] ^= 0x55;
	buf_clear(&out);
	assert_int_equal(inflate_bytes(packed.data, packed.len, plain.len, &out, &err), -1);
	assert_err(&err, ERR_CORRUPT, damaged);
}

static void xz(void **state)
{
	(void)state;
	one_format("xz", "xz");
}

static void zstd(void **state)
{
	(void)state;
	one_format("zstd -q", "zstd");
}

static void gzip(void **state)
{
	(void)state;
	one_format("gzip", "gzip");
}

static void plain(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF out = {0};
	assert_ok(inflate_bytes((const uint8_t *)"\177ELF", 4, 4, &out, &err));
	assert_memory_equal(out.data, "\177ELF", 4);
	assert_int_equal(inflate_bytes((const uint8_t *)"\177ELF", 4, 3, &out, &err), -1);
	assert_err(&err, ERR_LIMIT, "4 bytes are more than the limit of 3");
	buf_clear(&out);
	assert_ok(inflate_bytes((const uint8_t *)"", 0, 3, &out, &err));
	assert_int_equal(out.len, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(xz),
		cmocka_unit_test(zstd),
		cmocka_unit_test(gzip),
		cmocka_unit_test(plain),
	};
	return TEST_MAIN(tests);
}
