/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/buf.h"

#include <string.h>

static void grows(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF buf = {0};
	for (int i = 0; i < 1000; i++)
		assert_ok(buf_printf(&buf, &err, "%03d,", i));
	assert_int_equal(buf.len, 4000);
	assert_ok(buf_put_zero(&buf, 3, &err));
	assert_memory_equal(buf.data + 3996, "999,\0\0\0", 7);
}

static void keeps_its_maximum(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF buf = {.max = 4};
	assert_ok(buf_put_str(&buf, "abc", &err));
	assert_int_equal(buf_put_str(&buf, "de", &err), -1);
	assert_err(&err, ERR_LIMIT, "5 bytes are more than the limit of 4");
	assert_int_equal(buf.len, 3);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows),
		cmocka_unit_test(keeps_its_maximum),
	};
	return TEST_MAIN(tests);
}
