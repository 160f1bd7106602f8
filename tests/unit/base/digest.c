/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/digest.h"
#include "base/hex.h"

#include <string.h>

static void known_value(void **state)
{
	(void)state;
	char hex[DIGEST_HEX_SIZE];
	struct digest d = digest_of("abc", 3), again;
	/* FIPS 180-2, appendix B.1. */
	assert_string_equal(digest_hex(&d, hex),
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_true(digest_from_hex(hex, 64, &again));
	assert_true(digest_equal(&d, &again));
}

static void refuses_what_is_not_hex(void **state)
{
	(void)state;
	struct digest d;
	char hex[DIGEST_HEX_SIZE];
	memset(hex, 'a', 64);
	assert_false(digest_from_hex(hex, 63, &d));
	hex[10] = 'g';
	assert_false(digest_from_hex(hex, 64, &d));
	uint8_t bytes[2];
	assert_true(hex_decode("0aFf", 4, bytes, 2));
	assert_int_equal(bytes[0], 0x0a);
	assert_int_equal(bytes[1], 0xff);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_value),
		cmocka_unit_test(refuses_what_is_not_hex),
	};
	return TEST_MAIN(tests);
}
