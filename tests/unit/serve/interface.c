/* SPDX-License-Identifier: MIT */
#include "serve/interface.h"

#include "test.h"

#include <arpa/inet.h>
#include <string.h>

static struct interface items[] = {
	{.name = "lo", .loopback = true, .up = true, .has_addr = true, .prefix = 8},
	{.name = "eth0", .up = true, .has_addr = true, .prefix = 24},
	{.name = "eth1", .up = true},
	{.name = "eth2", .up = false, .has_addr = true, .prefix = 24},
	{.name = "br0", .up = true, .has_addr = true, .prefix = 20},
};

static int choose(size_t count, const char *name, struct interface *ret, struct err *err)
{
	const struct interface_list list = {.items = items, .len = count, .cap = count};
	inet_pton(AF_INET, "192.0.2.7", &items[1].addr);
	inet_pton(AF_INET, "10.55.17.1", &items[4].addr);
	return interface_choose(&list, name, ret, err);
}

static void the_only_one(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct interface got;
	assert_ok(choose(4, NULL, &got, &err));
	assert_string_equal(got.name, "eth0");
}

static void by_name(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct interface got;
	char text[INET_ADDRSTRLEN];
	assert_ok(choose(5, "br0", &got, &err));
	struct in_addr mask = interface_netmask(&got), net = interface_network(&got),
		       all = interface_broadcast(&got);
	assert_string_equal(inet_ntop(AF_INET, &mask, text, sizeof(text)), "255.255.240.0");
	assert_string_equal(inet_ntop(AF_INET, &net, text, sizeof(text)), "10.55.16.0");
	assert_string_equal(inet_ntop(AF_INET, &all, text, sizeof(text)), "10.55.31.255");
}

static void failures(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct interface got;
	assert_int_equal(choose(5, NULL, &got, &err), -1);
	assert_string_equal(err.hint, "name the one that clients are on with --interface IF");
	assert_err(&err, ERR_USAGE,
		"several network interfaces have an address: 'eth0' (192.0.2.7), 'br0' "
		"(10.55.17.1)");
	assert_int_equal(choose(1, NULL, &got, &err), -1);
	assert_err(&err, ERR_NOT_FOUND,
		"no network interface but loopback is up and has an IPv4 address");
	assert_int_equal(choose(5, "wlan0", &got, &err), -1);
	assert_string_equal(err.hint, "'ip link' lists them");
	assert_err(&err, ERR_NOT_FOUND, "there is no network interface 'wlan0'");
	assert_int_equal(choose(5, "eth1", &got, &err), -1);
	assert_string_equal(err.hint, "give it one, as in 'ip addr add 10.55.0.1/24 dev eth1'");
	assert_err(&err, ERR_NOT_FOUND, "network interface 'eth1' has no IPv4 address");
	assert_int_equal(choose(5, "eth2", &got, &err), -1);
	assert_err(&err, ERR_NOT_FOUND, "network interface 'eth2' is down");
}

static void this_machine(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct interface_list list = {0};
	struct interface got;
	assert_ok(interface_read(&list, &err));
	assert_ok(interface_choose(&list, "lo", &got, &err));
	assert_true(got.loopback);
	assert_int_equal(ntohl(got.addr.s_addr) >> 24, 127);
	assert_int_equal(got.prefix, 8);
	vec_done(&list);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_only_one),
		cmocka_unit_test(by_name),
		cmocka_unit_test(failures),
		cmocka_unit_test(this_machine),
	};
	return TEST_MAIN(tests);
}
