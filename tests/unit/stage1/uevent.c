/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "stage1/uevent.h"

#include <string.h>

static void finds_keys(void **state)
{
	(void)state;
	static const char message[] = "add@/devices/a\0ACTION=add\0MODALIAS=pci:v1\0NAME=";
	struct uevent event = {.len = sizeof(message)};
	memcpy(event.data, message, sizeof(message));
	assert_string_equal(uevent_get(&event, "ACTION"), "add");
	assert_string_equal(uevent_get(&event, "MODALIAS"), "pci:v1");
	assert_string_equal(uevent_get(&event, "NAME"), "");
	assert_null(uevent_get(&event, "MODALIA"));
	assert_null(uevent_get(&event, "add@/devices/a"));
}

static int count(const struct uevent *event, void *data)
{
	int *seen = data;
	const char *alias = uevent_get(event, "MODALIAS");
	seen[alias != NULL ? alias[0] - 'a' : 3]++;
	return alias != NULL && strcmp(alias, "stop") == 0 ? 7 : 0;
}

/* A tree as sysfs has it: files, directories, and links that must not be followed. */
static void walks_each_device_once(void **state)
{
	(void)state;
	const char *dir = test_tmpdir();
	test_shell("cd %s && mkdir -p x/y z && printf 'DRIVER=d\\nMODALIAS=a:1\\n' > x/uevent && "
		   "printf 'MODALIAS=b\\n' > x/y/uevent && printf 'MAJOR=1\\n' > z/uevent && "
		   "ln -s ../.. x/y/subsystem && : > uevent",
		dir);
	int seen[4] = {0};
	assert_int_equal(uevent_walk(dir, count, seen), 0);
	assert_int_equal(seen[0], 1);
	assert_int_equal(seen[1], 1);
	assert_int_equal(seen[3], 1);
	assert_int_equal(uevent_walk("/gone", count, seen), 0);
}

static void stops_when_told(void **state)
{
	(void)state;
	int seen[26] = {0};
	const char *dir = test_tmpdir();
	test_shell("printf 'MODALIAS=stop\\n' > %s/uevent", dir);
	assert_int_equal(uevent_walk(dir, count, seen), 7);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_keys),
		cmocka_unit_test(walks_each_device_once),
		cmocka_unit_test(stops_when_told),
	};
	return TEST_MAIN(tests);
}
