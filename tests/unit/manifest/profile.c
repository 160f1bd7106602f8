/* SPDX-License-Identifier: MIT */
#include "manifest/profile.h"

#include "test.h"

#include <string.h>

static void encode_sample(struct buf *out, size_t count)
{
	struct err err = ERR_INIT;
	AUTO_PROFILE profile = {.catalog = digest_of("c", 1)};
	for (size_t i = 0; i < count; i++) {
		const struct profile_entry entry = {(uint32_t)i, (uint32_t)(count - i)};
		assert_ok(vec_push(&profile.entries, entry, &err));
	}
	assert_ok(profile_encode(&profile, out, &err));
}

static void round_trip(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF bytes = {0}, again = {0};
	encode_sample(&bytes, 3);
	assert_int_equal(bytes.len, 44 + 24);
	AUTO_PROFILE profile = {0};
	assert_ok(profile_decode(bytes.data, bytes.len, &profile, &err));
	assert_int_equal(profile.entries.len, 3);
	assert_int_equal(profile.entries.items[1].member, 1);
	assert_int_equal(profile.entries.items[1].chunk, 2);
	assert_ok(profile_encode(&profile, &again, &err));
	assert_int_equal(again.len, bytes.len);
	assert_memory_equal(again.data, bytes.data, bytes.len);
}

static void the_latest_are_left_out(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF bytes = {0};
	encode_sample(&bytes, PROFILE_ENTRIES_MAX + 5);
	assert_true(bytes.len <= PROFILE_MAX);
	AUTO_PROFILE profile = {0};
	assert_ok(profile_decode(bytes.data, bytes.len, &profile, &err));
	assert_int_equal(profile.entries.len, PROFILE_ENTRIES_MAX);
}

static void every_truncation_fails(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF bytes = {0};
	AUTO_PROFILE profile = {0};
	encode_sample(&bytes, 2);
	for (size_t len = 0; len < bytes.len; len++) {
		assert_int_equal(profile_decode(bytes.data, len, &profile, &err), -1);
		assert_int_equal(err.kind, ERR_CORRUPT);
		err_reset(&err);
	}
	assert_int_equal(profile_decode(bytes.data, 20, &profile, &err), -1);
	assert_err(&err, ERR_CORRUPT, "this is no boot profile");
	bytes.data[40] = 9;
	assert_int_equal(profile_decode(bytes.data, bytes.len, &profile, &err), -1);
	assert_err(&err, ERR_CORRUPT, "a boot profile of 60 bytes cannot have 9 entries");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(the_latest_are_left_out),
		cmocka_unit_test(every_truncation_fails),
	};
	return TEST_MAIN(tests);
}
