/* SPDX-License-Identifier: MIT */
#include "net/packet.h"

#include "test.h"

#include <string.h>

/* 10.0.0.1:67 to 255.255.255.255:68, "hi!", checksums as Linux writes them. */
static const uint8_t good[] = {0x45, 0, 0, 31, 0, 0, 0, 0, 64, 17, 0x70, 0xce, 10, 0, 0, 1, 255,
	255, 255, 255, 0, 67, 0, 68, 0, 11, 0, 0, 'h', 'i', '!'};

static void takes(void **state)
{
	(void)state;
	struct packet_view view;
	assert_true(packet_parse(good, sizeof(good), true, &view));
	assert_int_equal(view.len, 3);
	assert_memory_equal(view.data, "hi!", 3);
}

static void every_truncation(void **state)
{
	(void)state;
	struct packet_view view;
	for (size_t len = 0; len < sizeof(good); len++)
		assert_false(packet_parse(good, len, true, &view));
}

/* Whatever bit is wrong in the headers, but those of the ports and the checksum of UDP, which this
 * packet has none of. */
static void every_bit(void **state)
{
	(void)state;
	struct packet_view view;
	for (size_t bit = 0; bit < 20 * 8; bit++) {
		uint8_t bad[sizeof(good)];
		memcpy(bad, good, sizeof(good));
		bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(packet_parse(bad, sizeof(bad), true, &view));
	}
	uint8_t bad[sizeof(good)];
	memcpy(bad, good, sizeof(good));
	bad[23] = 69;
	assert_false(packet_parse(bad, sizeof(bad), true, &view));
	bad[23] = 68;
	bad[27] = 1; /* a checksum, and the wrong one */
	assert_false(packet_parse(bad, sizeof(bad), true, &view));
	assert_true(packet_parse(bad, sizeof(bad), false, &view));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes),
		cmocka_unit_test(every_truncation),
		cmocka_unit_test(every_bit),
	};
	return TEST_MAIN(tests);
}
