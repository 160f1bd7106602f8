/* SPDX-License-Identifier: MIT */
#include "status/amount.h"

#include "test.h"

static void bytes(void **state)
{
	(void)state;
	char out[AMOUNT_SIZE];
	assert_string_equal(amount_bytes(0, out), "0");
	assert_string_equal(amount_bytes(999, out), "999 B");
	assert_string_equal(amount_bytes(1000, out), "1.0 kB");
	assert_string_equal(amount_bytes(999949, out), "999.9 kB");
	assert_string_equal(amount_bytes(999950, out), "1.0 MB");
	assert_string_equal(amount_bytes(UINT64_MAX, out), "18446744.1 TB");
}

static void seconds(void **state)
{
	(void)state;
	char out[AMOUNT_SIZE];
	assert_string_equal(amount_seconds(-3, out), "0.0 s");
	assert_string_equal(amount_seconds(9.87, out), "9.9 s");
	assert_string_equal(amount_seconds(61, out), "1 min 1 s");
	assert_string_equal(amount_seconds(7260, out), "2 h 1 min");
	assert_string_equal(amount_seconds(200000, out), "2 d 7 h");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes),
		cmocka_unit_test(seconds),
	};
	return TEST_MAIN(tests);
}
