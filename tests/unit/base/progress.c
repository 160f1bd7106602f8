/* SPDX-License-Identifier: MIT */
#include "base/progress.h"
#include "test.h"

#define MIB (1ull << 20)

static void pace(void **state)
{
	(void)state;
	static const struct {
		struct progress_pace pace;
		const char *text;
		double left;
	} cases[] = {
		/* Too early: in time, in bytes. */
		{{0, 100 * MIB, 3, "bytes"}, "", -1},
		{{MIB, 100 * MIB, 0.4, "bytes"}, "", -1},
		{{MIB / 2, 100 * MIB, 1, "bytes"}, ", 512.0 KiB/s", -1},
		/* What is left, in the unit that fits. */
		{{10 * MIB, 40 * MIB, 2, "bytes"}, ", 5.0 MiB/s, 6 s left", 6},
		{{1 * MIB, 100 * MIB, 1, "bytes"}, ", 1.0 MiB/s, 99 s left", 99},
		{{2 * MIB, 102 * MIB, 2, "bytes"}, ", 1.0 MiB/s, 2 min left", 100},
		{{60 * MIB, 6000 * MIB, 60, "bytes"}, ", 1.0 MiB/s, 99 min left", 5940},
		{{100 * MIB, 10000 * MIB, 100, "bytes"}, ", 1.0 MiB/s, 3 h left", 9900},
		{{UINT64_MAX / 2, UINT64_MAX, 1e12, "bytes"}, ", 8.8 MiB/s, 277778 h left", 1e12},
		/* At the end, and beyond what was announced. */
		{{40 * MIB, 40 * MIB, 2, "bytes"}, ", 20.0 MiB/s", 0},
		{{50 * MIB, 40 * MIB, 2, "bytes"}, ", 25.0 MiB/s", 0},
		/* Counted things, and nobody knows how many. */
		{{30, 60, 2, "paths"}, ", 15 paths/s, 2 s left", 2},
		{{30, 0, 2, "paths"}, ", 15 paths/s", -1},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[PROGRESS_PACE_SIZE];
		assert_string_equal(progress_pace_text(&cases[i].pace, text), cases[i].text);
		assert_float_equal(progress_left(&cases[i].pace), cases[i].left, 1);
	}
}

static void bytes(void **state)
{
	(void)state;
	char text[PROGRESS_BYTES_SIZE];
	assert_string_equal(progress_format_bytes(0, text), "0 B");
	assert_string_equal(progress_format_bytes(1023, text), "1023 B");
	assert_string_equal(progress_format_bytes(1536, text), "1.5 KiB");
	assert_string_equal(progress_format_bytes(UINT64_MAX, text), "16384.0 PiB");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pace),
		cmocka_unit_test(bytes),
	};
	return TEST_MAIN(tests);
}
