/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "tree/varint.h"

static void round_trip(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	for (unsigned shift = 0; shift < 64; shift++) {
		const uint64_t around = (uint64_t)1 << shift;
		for (uint64_t v = around - 1; v != around + 2; v++) {
			AUTO_BUF buf = {0};
			assert_ok(varint_put(&buf, v, &err));
			uint64_t got = ~v;
			assert_ptr_equal(
				varint_get(buf.data, buf.data + buf.len, &got), buf.data + buf.len);
			assert_true(got == v);
			for (size_t cut = 0; cut < buf.len; cut++)
				assert_null(varint_get(buf.data, buf.data + cut, &got));
		}
	}
}

static void refuses_other_forms(void **state)
{
	(void)state;
	uint64_t v;
	const uint8_t padded[] = {0x81, 0x00};
	assert_null(varint_get(padded, padded + 2, &v));
	const uint8_t too_large[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
	assert_null(varint_get(too_large, too_large + 10, &v));
	const uint8_t too_long[] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 0x01};
	assert_null(varint_get(too_long, too_long + 11, &v));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(refuses_other_forms),
	};
	return TEST_MAIN(tests);
}
