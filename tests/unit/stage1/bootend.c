/* SPDX-License-Identifier: MIT */
#include "stage1/bootend.h"

#include "test.h"

#include "base/mem.h"
#include "base/path.h"
#include "node/bootend.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

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

static void stage_2_is_told(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	char text[64], want[512];
	int fd;
	const char *run = test_tmpdir();
	assert_ok(bootend_tell(run, &err)); /* nobody listens */
	test_shell("mkdir %s/snowboot", run);
	AUTO_FREE char *path = path_printf(&err, "%s/snowboot/" BOOTEND_SOCKET, run);
	assert_ok(node_bootend_listen(path, &fd, &err));
	assert_ok(bootend_tell(run, &err));
	assert_int_equal(
		recv(fd, text, sizeof(text), MSG_DONTWAIT), strlen(BOOTEND_HANDED_OVER "\n"));
	assert_memory_equal(text, BOOTEND_HANDED_OVER "\n", strlen(BOOTEND_HANDED_OVER "\n"));
	close(fd);
	assert_int_equal(bootend_tell(run, &err), -1);
	snprintf(want, sizeof(want), "cannot tell '%s' that stage 2 begins: Connection refused",
		path);
	assert_err(&err, ERR_IO, want);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_socket_is_told_of),
		cmocka_unit_test(without_one_nothing_is_written),
		cmocka_unit_test(a_directory_that_cannot_be_made_is_named),
		cmocka_unit_test(stage_2_is_told),
	};
	return TEST_MAIN(tests);
}
