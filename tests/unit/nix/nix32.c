/* SPDX-License-Identifier: MIT */
#include "nix/nix32.h"
#include "test.h"

#include "base/digest.h"
#include "base/mem.h"

#include <string.h>

/* `nix-hash --type sha256 --to-base32` of the same bytes. */
static void as_nix_writes_it(void **state)
{
	(void)state;
	struct digest empty = digest_of("", 0), back;
	char text[53];
	nix32_encode(empty.bytes, DIGEST_SIZE, text);
	assert_string_equal(text, "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73");
	assert_true(nix32_decode(text, 52, back.bytes, DIGEST_SIZE));
	assert_true(digest_equal(&empty, &back));
}

static void every_length(void **state)
{
	(void)state;
	uint8_t data[64], back[64];
	char text[128];
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 37 + 201);
	for (size_t size = 0; size <= sizeof(data); size++) {
		nix32_encode(data, size, text);
		assert_int_equal(strlen(text), nix32_len(size));
		assert_true(nix32_decode(text, strlen(text), back, size));
		assert_memory_equal(data, back, size);
	}
}

static void what_is_refused(void **state)
{
	(void)state;
	uint8_t out[20];
	static const char good[] = "0123456789abcdfghijklmnpqrsvwxyz";
	assert_true(nix32_decode(good, 32, out, 20));
	assert_false(nix32_decode(good, 31, out, 20));
	static const char bad_chars[] = "eoutEA-/\n";
	for (size_t i = 0; i < sizeof(bad_chars); i++) {
		char text[33];
		memcpy(text, good, sizeof(text));
		text[7] = bad_chars[i];
		assert_false(nix32_decode(text, 32, out, 20));
	}
	/* 52 digits have 260 bits; the top 4 must be zero. */
	uint8_t digest[32];
	char wide[53];
	memset(wide, 'z', 52);
	wide[52] = '\0';
	assert_false(nix32_decode(wide, 52, digest, 32));
	wide[0] = '1';
	assert_true(nix32_decode(wide, 52, digest, 32));
	wide[0] = '2';
	assert_false(nix32_decode(wide, 52, digest, 32));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_nix_writes_it),
		cmocka_unit_test(every_length),
		cmocka_unit_test(what_is_refused),
	};
	return TEST_MAIN(tests);
}
