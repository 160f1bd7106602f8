/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/mem.h"
#include "stage1/cmdline.h"

static void assert_words(const char *text, const char *joined)
{
	struct err err = ERR_INIT;
	AUTO(cmdline_done) struct cmdline cmdline = {0};
	assert_ok(cmdline_parse(text, &cmdline, &err));
	AUTO_FREE char *words = strvec_join(&cmdline.words, "|", &err);
	assert_string_equal(words, joined);
}

/* What next_arg() of Linux lib/cmdline.c makes of them. */
static void quotes_as_the_kernel(void **state)
{
	(void)state;
	assert_words("", "");
	assert_words("  a  b=c\n", "a|b=c");
	assert_words("a=\"b c\" d", "a=b c|d");
	assert_words("\"a=b c\" d", "a=b c|d");
	assert_words("a=b\" \"c d", "a=b\" \"c|d");
	assert_words("a=\"never closed", "a=never closed");
	assert_words("a= b", "a=|b");
	assert_words("a -- b c", "a");
	assert_words("a --b c", "a|--b|c");
	assert_words("\"", "");
}

static void finds_values(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(cmdline_done) struct cmdline cmdline = {0};
	assert_ok(cmdline_parse("init=/a initrd=x init=/b boot.panic_on_fail debug=yes off=0 "
				"twice twice=0",
		&cmdline, &err));
	assert_string_equal(cmdline_get(&cmdline, "init"), "/b");
	assert_int_equal(cmdline_count(&cmdline, "init"), 2);
	assert_null(cmdline_get(&cmdline, "ini"));
	assert_null(cmdline_get(&cmdline, "boot.panic_on_fail"));
	assert_true(cmdline_flag(&cmdline, "boot.panic_on_fail"));
	assert_true(cmdline_flag(&cmdline, "debug"));
	assert_false(cmdline_flag(&cmdline, "off"));
	assert_false(cmdline_flag(&cmdline, "twice"));
	assert_false(cmdline_flag(&cmdline, "absent"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quotes_as_the_kernel),
		cmocka_unit_test(finds_values),
	};
	return TEST_MAIN(tests);
}
