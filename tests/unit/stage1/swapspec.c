/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/mem.h"
#include "stage1/swapspec.h"

#include <stdio.h>
#include <string.h>

static void parses(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(swap_list_done) struct swap_list list = {0};
	assert_ok(swap_list_parse(
		"zram,zram:64M,zram:25%,zram:4096,auto,/dev/sda2,LABEL=my swap,UUID=ab-cd", &list,
		&err));
	assert_int_equal(list.items.len, 8);
	assert_int_equal(list.items.items[0].percent, 50);
	assert_int_equal(list.items.items[1].size_bytes, 64 << 20);
	assert_int_equal(list.items.items[2].percent, 25);
	assert_int_equal(list.items.items[3].size_bytes, 4096);
	assert_int_equal(list.items.items[4].kind, SWAP_AUTO);
	assert_string_equal(list.items.items[5].name, "/dev/sda2");
	assert_string_equal(list.items.items[6].name, "my swap");
	assert_int_equal(list.items.items[7].kind, SWAP_UUID);
}

static void refuses(void **state)
{
	(void)state;
	static const char *const sizes[] = {"zram:", "zram:0", "zram:12T", "zram:5%%", "zram:-1",
		"zram:401%", "zram:99999999999999999999", "zram:18446744073709551615G"};
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct err err = ERR_INIT;
		struct swap_list list;
		char expected[128];
		snprintf(expected, sizeof(expected), "snowboot.swap: '%s' has no valid size",
			sizes[i]);
		assert_int_equal(swap_list_parse(sizes[i], &list, &err), -1);
		assert_err(&err, ERR_USAGE, expected);
	}
	static const char *const words[] = {"", "sda2", "LABEL=", "UUID=", "zram2"};
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		struct err err = ERR_INIT;
		struct swap_list list;
		char expected[128];
		snprintf(expected, sizeof(expected),
			"snowboot.swap: '%s' is not one of zram, zram:SIZE, auto, /dev/…, LABEL=…, "
			"UUID=…",
			words[i]);
		assert_int_equal(swap_list_parse(words[i], &list, &err), -1);
		assert_err(&err, ERR_USAGE, expected);
	}
}

/* What mkswap writes is read; what we write is what swaplabel and file(1) know. */
static void headers(void **state)
{
	(void)state;
	const char *dir = test_tmpdir();
	test_shell("cd %s && truncate -s 1M a && mkswap -q -L me -U "
		   "01234567-89ab-cdef-0123-456789abcdef a",
		dir);
	uint8_t page[SWAP_HEADER_SIZE];
	char path[512];
	snprintf(path, sizeof(path), "%s/a", dir);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	assert_int_equal(fread(page, 1, sizeof(page), file), sizeof(page));
	fclose(file);
	struct swap_header header;
	assert_true(swap_header_read(page, &header));
	assert_string_equal(header.label, "me");
	assert_string_equal(header.uuid, "01234567-89ab-cdef-0123-456789abcdef");
	memcpy(page + SWAP_HEADER_SIZE - 10, "S1SUSPEND\0", 10);
	assert_false(swap_header_read(page, &header));
	swap_header_write(1 << 20, page);
	assert_true(swap_header_read(page, &header));
	test_write(dir, "b", page, sizeof(page));
	test_shell("truncate -s 1M %s/b && file %s/b | grep -q 'swap file, 4k page size, little "
		   "endian, "
		   "version 1, size 255 pages'",
		dir, dir);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(refuses),
		cmocka_unit_test(headers),
	};
	return TEST_MAIN(tests);
}
