/* SPDX-License-Identifier: MIT */
#include "rules/directory.h"

#include "base/path.h"
#include "test.h"

#include <string.h>

static void precedence(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_DIRECTORY d = {0};
	const char *dir = test_tmpdir();
	test_shell("cd '%s'; touch default.json serial-AB%%2Fcd AA-BB-CC-DD-EE-01 "
		   "aa:bb:cc:dd:ee:01.json aa-bb-cc-dd-ee-02 asset-7 .hidden README",
		dir);
	struct identity who = {
		.text = {[IDENTITY_MAC] = "aa:bb:cc:dd:ee:01", [IDENTITY_SERIAL] = "ab/CD"}};
	assert_ok(directory_read(dir, &who, &d, &err));
	assert_int_equal(d.matches.len, 4);
	assert_string_equal(d.matches.items[0].name, "AA-BB-CC-DD-EE-01");
	assert_string_equal(d.matches.items[1].name, "aa:bb:cc:dd:ee:01.json");
	assert_string_equal(d.matches.items[2].name, "serial-AB%2Fcd");
	assert_int_equal(d.matches.items[2].kind, IDENTITY_SERIAL);
	assert_string_equal(d.matches.items[3].name, "default.json");
	assert_int_equal(d.matches.items[3].kind, IDENTITIES);
	assert_int_equal(d.others, 2);
	assert_int_equal(d.odd.len, 1);
	assert_string_equal(d.odd.items[0], "README");
}

static void unknown_names_match_nothing(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_DIRECTORY d = {0};
	const char *dir = test_tmpdir();
	test_shell("cd '%s'; touch serial-a1 asset-b2 serial-", dir);
	const struct identity who = {0};
	assert_ok(directory_read(dir, &who, &d, &err));
	assert_int_equal(d.matches.len, 0);
	assert_int_equal(d.others, 2);
	assert_int_equal(d.odd.len, 1);
}

static void absent(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_DIRECTORY d = {0};
	const struct identity who = {0};
	assert_int_equal(directory_read("/nonexistent/machines", &who, &d, &err), -1);
	assert_err(&err, ERR_NOT_FOUND,
		"cannot read the machines' directory '/nonexistent/machines': No such file or "
		"directory");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(precedence),
		cmocka_unit_test(unknown_names_match_nothing),
		cmocka_unit_test(absent),
	};
	return TEST_MAIN(tests);
}
