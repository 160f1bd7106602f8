/* SPDX-License-Identifier: MIT */
#include "stage1/bootend.h"

#include "test.h"

#include "base/mem.h"

static void a_socket_is_told_of(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *run = test_tmpdir();
	test_shell("mkdir %s/snowboot && touch %s/snowboot/notify", run, run);
	for (int i = 0; i < 2; i++) /* an attempt to boot may be the second */
		assert_ok(bootend_prepare(run, &err));
	AUTO_FREE char *text =
		test_shell_output("cat %s/systemd/system.conf.d/50-snowboot.conf", run);
	assert_string_equal(text,
		"# written by snowboot, which hears so when the system is up\n"
		"[Manager]\nManagerEnvironment=NOTIFY_SOCKET=/run/snowboot/notify");
	test_shell("test $(ls %s/systemd/system.conf.d | wc -l) = 1", run);
}

static void without_one_nothing_is_written(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *run = test_tmpdir();
	assert_ok(bootend_prepare(run, &err));
	test_shell("! test -e %s/systemd", run);
}

static void a_directory_that_cannot_be_made_is_named(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	char want[512];
	const char *run = test_tmpdir();
	test_shell("mkdir %s/snowboot && touch %s/snowboot/notify %s/systemd", run, run, run);
	assert_int_equal(bootend_prepare(run, &err), -1);
	snprintf(want, sizeof(want),
		"cannot ask the system to tell when it is up: cannot create directory "
		"'%s/systemd/system.conf.d': Not a directory",
		run);
	assert_err(&err, ERR_NOT_FOUND, want);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_socket_is_told_of),
		cmocka_unit_test(without_one_nothing_is_written),
		cmocka_unit_test(a_directory_that_cannot_be_made_is_named),
	};
	return TEST_MAIN(tests);
}
