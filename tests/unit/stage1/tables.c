/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "stage1/tables.h"

#include "base/bytes.h"

#include <string.h>

#define SIZE 409600u

/* Of an archive with its inodes there, and so many bytes in all. */
static const uint8_t *superblock(uint64_t inodes, uint64_t used)
{
	static uint8_t block[96];
	memcpy(block, "hsqs", 4);
	put_le64(block + 40, used);
	put_le64(block + 64, inodes);
	return block;
}

static void begin_with_a_page(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	uint64_t off;
	assert_ok(tables_find(superblock(300000, 400000), SIZE, &off, &err));
	assert_int_equal(off, 299008);
	assert_ok(tables_find(superblock(8192, 400000), SIZE, &off, &err));
	assert_int_equal(off, 8192);
	assert_ok(tables_find(superblock(96, SIZE), SIZE, &off, &err)); /* no data at all */
	assert_int_equal(off, 0);
}

static void refuses_what_is_none(void **state)
{
	(void)state;
	static const char message[] = "the image has no squashfs superblock";
	uint64_t off;
	const struct {
		uint64_t inodes, used;
	} cases[] = {{300000, SIZE + 1}, {400000, 400000}, {UINT64_MAX, 400000}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		const uint8_t *block = superblock(cases[i].inodes, cases[i].used);
		assert_int_equal(tables_find(block, SIZE, &off, &err), -1);
		assert_string_equal(err.msg, message);
	}
	struct err err = ERR_INIT;
	uint8_t other[96] = "hsqt";
	assert_int_equal(tables_find(other, SIZE, &off, &err), -1);
	assert_string_equal(err.msg, message);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begin_with_a_page),
		cmocka_unit_test(refuses_what_is_none),
	};
	return TEST_MAIN(tests);
}
