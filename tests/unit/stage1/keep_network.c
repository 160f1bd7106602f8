/* SPDX-License-Identifier: MIT */
#include "stage1/keep_network.h"

#include "test.h"

#include "base/mem.h"

#include <string.h>

static const uint8_t id[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* A root with a system that has two .network files behind a link, and a machine with `cards`. */
static const char *make(const char *cards)
{
	const char *dir = test_tmpdir();
	test_shell("cd %s && mkdir -p run sys/class/net/lo root/store/etc/systemd/network "
		   "root/system && "
		   "ln -s /store/etc root/system/etc && "
		   "touch root/store/etc/systemd/network/40-lan.network "
		   "root/store/etc/systemd/network/40-lan.link "
		   "root/store/etc/systemd/network/99-all.network && "
		   "for card in %s; do mkdir -p sys/class/net/$card/device && "
		   "echo 52:54:00:00:00:01 > sys/class/net/$card/address; done",
		dir, cards);
	return dir;
}

static void keep(const char *dir)
{
	struct err err = ERR_INIT;
	char run[256], sys[256], root[256];
	snprintf(run, sizeof(run), "%s/run", dir);
	snprintf(sys, sizeof(sys), "%s/sys", dir);
	snprintf(root, sizeof(root), "%s/root", dir);
	const struct keep_network keep = {.run = run,
		.sys = sys,
		.root = root,
		.system = "/system",
		.link = "eth0",
		.machine_id = id};
	assert_ok(keep_network(&keep, &err));
}

static void assert_file(const char *dir, const char *name, const char *want)
{
	AUTO_FREE char *got = test_shell_output("cat %s/%s", dir, name);
	assert_string_equal(got, want);
}

#define DROP_IN \
	"# written by snowboot: the root file system lies behind this link\n" \
	"[Network]\nKeepConfiguration=yes"
#define IDENTIFIER \
	"\n\n[DHCPv4]\nClientIdentifier=duid\nIAID=3366433826\nDUIDType=uuid\n" \
	"DUIDRawData=00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f"

static void one_card(void **state)
{
	(void)state;
	const char *dir = make("eth0");
	keep(dir);
	assert_file(
		dir, "run/systemd/network/40-lan.network.d/50-snowboot.conf", DROP_IN IDENTIFIER);
	assert_file(
		dir, "run/systemd/network/99-all.network.d/50-snowboot.conf", DROP_IN IDENTIFIER);
	assert_file(dir, "run/NetworkManager/conf.d/50-snowboot.conf",
		"[keyfile]\nunmanaged-devices+=mac:52:54:00:00:00:01");
	test_shell("test $(ls %s/run/systemd/network | wc -l) = 2", dir);
}

/* Whose IAID would it be? */
static void two_cards(void **state)
{
	(void)state;
	const char *dir = make("eth0 eth1");
	keep(dir);
	assert_file(dir, "run/systemd/network/40-lan.network.d/50-snowboot.conf", DROP_IN);
}

static void no_networkd(void **state)
{
	(void)state;
	const char *dir = make("eth0");
	test_shell("rm -r %s/root/store/etc/systemd", dir);
	keep(dir);
	test_shell("! test -e %s/run/systemd", dir);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_card),
		cmocka_unit_test(two_cards),
		cmocka_unit_test(no_networkd),
	};
	return TEST_MAIN(tests);
}
