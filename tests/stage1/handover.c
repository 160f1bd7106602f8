/* SPDX-License-Identifier: MIT */
/* What each kind of system finds when stage 1 hands over to it. */
#include "guest.h"

#include <string.h>

static void assert_output(struct guest *guest, const char *command, const char *expected)
{
	AUTO_FREE char *output = guest_run(guest, command);
	assert_string_equal(output, expected);
}

/* Common to all kinds. */
static void assert_root(struct guest *guest)
{
	assert_output(guest, "cat /nix/var/nix/db/db.sqlite", "database");
	assert_output(guest, "cat /nix/var/nix/db/schema", "10");
	assert_output(guest, "readlink /nix/var/nix/profiles/system", "system-1-link");
	assert_output(guest, "readlink /nix/var/nix/profiles/system-1-link", GUEST_SYSTEM);
	assert_output(guest, "stat -c '%a %u %g' /nix/store /tmp /nix/var/nix/db",
		"1775 0 30000\n1777 0 0\n755 0 0");
	assert_output(guest, "stat -c %s /etc/NIXOS", "0");
	assert_output(guest, "stat -f -c %T /", "tmpfs");
	/* Processes of stage 1 are gone, and nothing of the initramfs is left but the image. */
	assert_output(guest,
		"for i in 1 2 3 4 5 6 7 8 9; do grep -l '^Name:.stage1' /proc/*/status "
		"2> /dev/null || break; done",
		"");
	assert_output(guest, "cat /sys/block/loop0/loop/backing_file", "/image.squashfs (deleted)");
	/* The kernel log has every step. */
	assert_output(guest,
		"dmesg | grep -o 'snowboot: [a-z]*: [0-9]*.[0-9]* ms' | cut -d' ' -f2 | tr '\\n' ' "
		"'",
		"read: check: root: activate: drivers: ");
	assert_output(guest, "grep -c begin_us /run/snowboot/boot.json", "5");
}

static void scripted(void **state)
{
	(void)state;
	AUTO_GUEST guest = {0};
	guest_make(&guest, "scripted");
	guest_boot(&guest, GUEST_INIT " single");
	guest_expect(&guest, "pid 1 args 'single' fds 0 1 2 ");
	guest_expect_system(&guest, "scripted");
	assert_root(&guest);
	assert_output(&guest, "cat /proc/sys/kernel/modprobe", "/sbin/modprobe");
	assert_output(&guest, "stat -c '%a %u %g' /run/keys /dev/shm", "750 0 96\n1777 0 0");
	/* The store is writable, as nix-build needs it. */
	assert_output(&guest, "echo new > /nix/store/new && cat /nix/store/new", "new");
}

static void systemd(void **state)
{
	(void)state;
	AUTO_GUEST guest = {0};
	guest_make(&guest, "systemd");
	guest_boot(&guest, GUEST_INIT);
	guest_expect(&guest, "pid 1 args '' fds 0 1 2 ");
	guest_expect_system(&guest, "systemd");
	assert_root(&guest);
	/* prepare-root saw no /proc, had /run, and what it mounted stayed, alone. */
	assert_output(&guest, "cat /run/prepared", "prepared");
	assert_output(&guest, "grep -c ' /proc ' /proc/mounts", "1");
	assert_output(&guest, "grep -c ' /dev ' /proc/mounts", "1");
	assert_output(&guest, "grep -c ' /sys ' /proc/mounts", "1");
	assert_output(&guest, "grep -c ' /run ' /proc/mounts", "1");
}

/* A systemd system with an etc overlay, which its prepare-root relies on (nixpkgs, perlless
 * profile). */
static void systemd_with_etc_overlay(void **state)
{
	(void)state;
	AUTO_GUEST guest = {0};
	guest_make(&guest, "systemd-etc");
	guest_boot(&guest, GUEST_INIT);
	guest_expect_system(&guest, "systemd-etc");
	assert_output(&guest, "cat /run/prepared", "guest");
	assert_output(&guest, "echo changed > /etc/hostname && cat /etc/hostname", "changed");
	assert_output(&guest, "grep -c ' /etc ' /proc/mounts", "1");
}

static void nixos_init(void **state)
{
	(void)state;
	AUTO_GUEST guest = {0};
	guest_make(&guest, "nixos-init");
	guest_boot(&guest, GUEST_INIT);
	guest_expect(&guest, "pid 1 args '' fds 0 1 2 ");
	guest_expect_system(&guest, "nixos-init");
	assert_root(&guest);
	assert_output(&guest, "readlink /run/booted-system; readlink /run/current-system",
		GUEST_SYSTEM "\n" GUEST_SYSTEM);
	assert_output(&guest, "cat /proc/sys/kernel/modprobe", GUEST_TOOLS "/bin/modprobe");
	assert_output(&guest, "cat /sys/module/firmware_class/parameters/path",
		GUEST_TOOLS "/lib/firmware");
	assert_output(&guest, "readlink /bin/sh; readlink /usr/bin/env",
		GUEST_TOOLS "/bin/sh\n" GUEST_TOOLS "/bin/env");
	assert_output(&guest, "cat /etc/hostname", "guest");
	assert_output(&guest, "echo changed > /etc/hostname && cat /etc/hostname", "changed");
	assert_output(&guest,
		"grep ' /nix/store ' /proc/mounts | cut -d' ' -f4 | cut -d, -f1-3 | sort",
		"ro,nosuid,nodev\nrw,relatime,lowerdir=/sysroot/nix/.ro-store");
}

static void read_only_etc(void **state)
{
	(void)state;
	AUTO_GUEST guest = {0};
	guest_make(&guest, "nixos-init");
	guest_boot(&guest, GUEST_INIT " snowboot.etc=ro");
	guest_expect_system(&guest, "nixos-init");
	assert_output(&guest, "cat /etc/hostname", "guest");
	assert_output(
		&guest, "! echo changed 2> /dev/null > /etc/hostname; cat /etc/hostname", "guest");
}

static void specialisation(void **state)
{
	(void)state;
	AUTO_GUEST guest = {0};
	guest_make(&guest, "scripted");
	guest_boot(&guest, "init=" GUEST_SYSTEM "-quiet/init");
	guest_expect_system(&guest, "scripted");
}

/* One copy of the image is in memory, the initramfs's files are not. */
static void memory(void **state)
{
	(void)state;
	AUTO_GUEST guest = {0};
	guest_make(&guest, "scripted");
	/* Ballast beside the image, which must be gone afterwards. */
	test_shell("head -c 40M /dev/urandom > %s/root/ballast", guest.dir);
	guest_boot(&guest, GUEST_INIT " snowboot.root_size=16m");
	guest_expect_system(&guest, "scripted");
	AUTO_FREE char *used = guest_run(&guest,
		"sync; echo 3 > /proc/sys/vm/drop_caches; free -m | grep Mem | tr -s ' ' | cut -d' "
		"' -f5");
	assert_in_range(strtol(used, NULL, 10), 0, 20); /* shared: tmpfs */
	assert_output(&guest, "stat -f -c '%b %S' /", "4096 4096");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scripted),
		cmocka_unit_test(systemd),
		cmocka_unit_test(systemd_with_etc_overlay),
		cmocka_unit_test(nixos_init),
		cmocka_unit_test(read_only_etc),
		cmocka_unit_test(specialisation),
		cmocka_unit_test(memory),
	};
	return TEST_MAIN(tests);
}
