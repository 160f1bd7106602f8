/* SPDX-License-Identifier: MIT */
#include "serve/dispatch_name.h"

#include "test.h"

#include <string.h>

static void assert_none(const char *rest)
{
	struct err err = ERR_INIT;
	AUTO_DISPATCH_NAME name = {0};
	assert_int_equal(dispatch_name_parse(rest, &name, &err), 0);
}

static void names(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_DISPATCH_NAME profile = {0}, configuration = {0}, hydra = {0}, log = {0};
	assert_int_equal(dispatch_name_parse("profile/system-7", &profile, &err), 1);
	assert_int_equal(profile.kind, DISPATCH_PROFILE);
	assert_string_equal(profile.parts[0], "system-7");
	assert_string_equal(profile.path, "/dispatch/profile/system-7");
	assert_int_equal(dispatch_name_parse("configuration/small", &configuration, &err), 1);
	assert_int_equal(configuration.kind, DISPATCH_CONFIGURATION);
	assert_false(configuration.log);
	assert_int_equal(
		dispatch_name_parse("hydra/h.example:80/p/j-s/a.b.x86_64-linux", &hydra, &err), 1);
	assert_int_equal(hydra.kind, DISPATCH_HYDRA);
	assert_string_equal(hydra.parts[0], "h.example:80");
	assert_string_equal(hydra.parts[3], "a.b.x86_64-linux");
	assert_int_equal(dispatch_name_parse("configuration/small/log", &log, &err), 1);
	assert_true(log.log);
	assert_string_equal(log.path, "/dispatch/configuration/small");
}

static void none(void **state)
{
	(void)state;
	char text[300] = "profile/";
	assert_none("");
	assert_none("profile/");
	assert_none("profile/..");
	assert_none("profile/.hidden");
	assert_none("profile/a/b");
	assert_none("profile/a/log");
	assert_none("profile/a b");
	assert_none("configuration/a/");
	assert_none("configuration/a\"b");
	assert_none("hydra/h/p/j");
	assert_none("hydra/h/p/j/k/l");
	assert_none("hydra/h//j/k");
	assert_none("other/a");
	memset(text + 8, 'a', 256);
	assert_none(text);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(none),
	};
	return TEST_MAIN(tests);
}
