/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/mem.h"
#include "stage1/console.h"

static void joins_both_sources(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(cmdline_done) struct cmdline cmdline = {0};
	assert_ok(cmdline_parse("console=ttyS0,115200n8 console=tty1 console=", &cmdline, &err));
	AUTO_STRVEC names = {0};
	assert_ok(console_names("tty0 ttyS0", &cmdline, &names, &err));
	AUTO_FREE char *joined = strvec_join(&names, " ", &err);
	assert_string_equal(joined, "tty0 ttyS0 tty1");
	AUTO_STRVEC alone = {0};
	assert_ok(console_names(NULL, &cmdline, &alone, &err));
	assert_int_equal(alone.len, 2);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(joins_both_sources)};
	return TEST_MAIN(tests);
}
