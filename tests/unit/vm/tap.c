/* SPDX-License-Identifier: MIT */
/* In a network namespace of our own, which disappears with the test. */
#include "vm/tap.h"

#include "base/fd.h"

#include "test.h"

#include <net/if.h>
#include <sched.h>
#include <unistd.h>

static void names(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_FD int fd = -1;
	assert_int_equal(tap_open("", &fd, NULL, &err), -1);
	assert_err(&err, ERR_USAGE, "'' is not a name for an interface (1 to 15 bytes)");
	assert_int_equal(tap_open("sixteen-bytes-xx", &fd, NULL, &err), -1);
	assert_err(&err, ERR_USAGE,
		"'sixteen-bytes-xx' is not a name for an interface (1 to 15 bytes)");
}

static void comes_and_goes(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_FD int fd = -1;
	AUTO_FREE char *name = NULL;
	assert_ok(tap_open("vm%d", &fd, &name, &err));
	assert_string_equal(name, "vm0");
	assert_ok(tap_set_up(name, &err));
	test_shell("ip -o link show dev vm0 | grep -q '<.*UP.*>'");
	AUTO_FD int other = -1;
	assert_int_equal(tap_open("vm0", &other, NULL, &err), -1);
	assert_string_equal(err.hint, "another program has it; choose another name");
	assert_err(&err, ERR_AGAIN, "cannot open the tap device 'vm0': Device or resource busy");
	fd_close_ptr(&fd);
	assert_int_equal(if_nametoindex("vm0"), 0);
}

static void joins_a_bridge(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_FD int fd = -1;
	assert_ok(tap_open("port", &fd, NULL, &err));
	assert_int_equal(tap_join_bridge("port", "br0", &err), -1);
	assert_string_equal(err.hint, "make it first: ip link add br0 type bridge");
	assert_int_equal(err.kind, ERR_IO);
	err_reset(&err);
	assert_int_equal(tap_join_bridge("port", "lo", &err), -1);
	assert_string_equal(err.hint, "'lo' is no bridge");
	err_reset(&err);
	test_shell("ip link add br0 type bridge");
	assert_ok(tap_join_bridge("port", "br0", &err));
	test_shell("ip -o link show dev port | grep -q 'master br0'");
	assert_int_equal(tap_open("br0", &(int){-1}, NULL, &err), -1);
	assert_string_equal(err.hint, "an interface of that name exists and is no tap device");
	assert_err(&err, ERR_IO, "cannot open the tap device 'br0': Invalid argument");
}

int main(int argc, char **argv)
{
	if (unshare(CLONE_NEWNET) < 0)
		test_skip("needs to create a network namespace");
	if (access("/dev/net/tun", F_OK) < 0)
		test_skip("needs /dev/net/tun");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(comes_and_goes),
		cmocka_unit_test(joins_a_bridge),
	};
	return TEST_MAIN(tests);
}
