/* SPDX-License-Identifier: MIT */
#include "stage1/cache_disk.h"

#include "test.h"

#include <string.h>

#define MIB ((uint64_t)1 << 20)

static void by_label(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *sys = test_tmpdir();
	test_shell(
		"cd %s && mkdir -p class/block/sda class/block/sda1 class/block/sda2 "
		"class/block/sda3 && "
		"printf 'MAJOR=8\\nDEVNAME=sda\\n' > class/block/sda/uevent && "
		"printf 'DEVNAME=sda1\\nPARTNAME=snowboot-cache-2\\n' > class/block/sda1/uevent && "
		"printf 'DEVNAME=sda2\\nPARTNAME=snowboot-cache\\n' > class/block/sda2/uevent && "
		"printf 'DEVNAME=sda3\\nXPARTNAME=other\\n' > class/block/sda3/uevent",
		sys);
	AUTO_FREE char *found = cache_disk_by_label(sys, CACHE_DISK_LABEL, &err);
	assert_string_equal(found, "/dev/sda2");
	assert_null(cache_disk_by_label(sys, "other", &err));
	assert_null(cache_disk_by_label("/nonexistent", "other", &err));
	assert_true(err_clean(&err));
}

static void quotas(void **state)
{
	(void)state;
	assert_int_equal(cache_memory_quota(4096 * MIB, false), 1024 * MIB);
	assert_int_equal(cache_memory_quota(4096 * MIB, true), 256 * MIB);
	assert_int_equal(cache_memory_quota(1024 * MIB, true), 64 * MIB);
	assert_int_equal(cache_memory_quota(256 * MIB, true), 32 * MIB);
}

static void values(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(cmdline_done) struct cmdline cmdline = {0};
	const struct hardware idle = HARDWARE_INIT;
	struct cache_params params = {0};
	assert_ok(cmdline_parse("snowboot.cache=none", &cmdline, &err));
	assert_ok(cache_disk_find(&cmdline, &idle, &params, &err));
	assert_null(params.disk);
	assert_int_equal(params.memory_max, 16 * MIB);
	cmdline_done(&cmdline);
	assert_ok(cmdline_parse("snowboot.cache=/dev/null", &cmdline, &err));
	assert_ok(cache_disk_find(&cmdline, &idle, &params, &err));
	assert_string_equal(params.disk, "/dev/null");
	free((void *)params.disk);
	cmdline_done(&cmdline);
	assert_ok(cmdline_parse("snowboot.cache=sda1", &cmdline, &err));
	assert_int_equal(cache_disk_find(&cmdline, &idle, &params, &err), -1);
	assert_err(&err, ERR_USAGE,
		"snowboot.cache takes auto, ram, none, /dev/… or PARTLABEL=…, not 'sda1'");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_label),
		cmocka_unit_test(quotas),
		cmocka_unit_test(values),
	};
	return TEST_MAIN(tests);
}
