/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/fd.h"
#include "carrier/elf_file.h"
#include "carrier/modinfo.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* A relocatable object with a .modinfo section, as a kernel module has. */
static void make_module(const char *flags, struct buf *out)
{
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	static const char source[] =
		"#define INFO(n, s) static const char n[] __attribute__((section(\".modinfo\"), "
		"used)) = s;\n"
		"INFO(a, \"license=GPL\") INFO(b, \"firmware=rtl_nic/rtl8168e-1.fw\")\n"
		"INFO(c, \"firmware=rtl_nic/rtl8168e-2.fw\") INFO(d, \"softdep=pre: realtek\")\n";
	test_write(dir, "m.c", source, strlen(source));
	test_shell("cc %s -c -o %s/m.ko %s/m.c", flags, dir, dir);
	char path[512];
	snprintf(path, sizeof(path), "%s/m.ko", dir);
	assert_ok(fd_read_file(AT_FDCWD, path, 1 << 20, out, &err));
}

static void check_values(const struct buf *module)
{
	struct err err = ERR_INIT;
	struct modinfo info;
	assert_ok(modinfo_read(module->data, module->len, &info, &err));
	const char *value = modinfo_value(&info, "firmware", NULL);
	assert_string_equal(value, "rtl_nic/rtl8168e-1.fw");
	value = modinfo_value(&info, "firmware", value);
	assert_string_equal(value, "rtl_nic/rtl8168e-2.fw");
	assert_null(modinfo_value(&info, "firmware", value));
	assert_string_equal(modinfo_value(&info, "softdep", NULL), "pre: realtek");
	assert_null(modinfo_value(&info, "firm", NULL));
}

static void reads_64_bit(void **state)
{
	(void)state;
	AUTO_BUF module = {0};
	make_module("-g", &module);
	check_values(&module);
}

static void every_truncation_fails_cleanly(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF module = {0};
	make_module("", &module);
	for (size_t len = 0; len < module.len; len++) {
		/* A copy of its own, so that a read beyond the end is seen by ASan. */
		AUTO_FREE uint8_t *copy = malloc(len + (len == 0));
		assert_non_null(copy);
		memcpy(copy, module.data, len);
		struct modinfo info;
		assert_int_equal(modinfo_read(copy, len, &info, &err), -1);
		assert_int_equal(err.kind, ERR_CORRUPT);
		err_reset(&err);
	}
}

static void flipped_bytes_do_no_harm(void **state)
{
	(void)state;
	AUTO_BUF module = {0};
	make_module("", &module);
	for (size_t i = 0; i < module.len * 4; i++) {
		struct err err = ERR_INIT;
		static const uint8_t flips[] = {0x01, 0x80, 0xff, 0x7f};
		uint8_t *byte = &module.data[i / 4];
		uint8_t old = *byte;
		*byte ^= flips[i % 4];
		struct modinfo info;
		if (modinfo_read(module.data, module.len, &info, &err) == 0)
			for (const char *v = NULL;
				(v = modinfo_value(&info, "firmware", v)) != NULL;)
				assert_true(strlen(v) < module.len);
		else
			assert_int_equal(err.kind, ERR_CORRUPT);
		*byte = old;
	}
	check_values(&module);
}

static void says_what_is_wrong(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct modinfo info;
	assert_int_equal(modinfo_read((const uint8_t *)"#!/bin/sh\n# 123456", 18, &info, &err), -1);
	assert_err(&err, ERR_CORRUPT, "not an ELF file");
	AUTO_BUF module = {0};
	make_module("", &module);
	assert_int_equal(modinfo_read(module.data, 60, &info, &err), -1);
	assert_err(&err, ERR_CORRUPT, "ELF header is cut off after 60 bytes");
	assert_int_equal(modinfo_read(module.data, module.len - 1, &info, &err), -1);
	assert_err(&err, ERR_CORRUPT, "ELF section headers lie outside the file");
}

static void static_or_dynamic(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	test_write(dir, "p.c", "int main(void){return 0;}", 25);
	test_shell("cc -o %s/dynamic %s/p.c && cc -static -o %s/static %s/p.c", dir, dir, dir, dir);
	for (int dynamic = 0; dynamic < 2; dynamic++) {
		AUTO_BUF program = {0};
		char path[512];
		snprintf(path, sizeof(path), "%s/%s", dir, dynamic ? "dynamic" : "static");
		assert_ok(fd_read_file(AT_FDCWD, path, 1 << 24, &program, &err));
		struct elf_file elf;
		assert_ok(elf_open(program.data, program.len, &elf, &err));
		assert_int_equal(elf_is_dynamic(&elf, &err), dynamic);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_64_bit),
		cmocka_unit_test(every_truncation_fails_cleanly),
		cmocka_unit_test(flipped_bytes_do_no_harm),
		cmocka_unit_test(says_what_is_wrong),
		cmocka_unit_test(static_or_dynamic),
	};
	return TEST_MAIN(tests);
}
