/* SPDX-License-Identifier: MIT */
/* Swap on compressed memory and on disks, and what happens when it cannot be had. */
#include "guest.h"

#include "base/path.h"

#include <string.h>

static void boots_with(struct guest *guest, const char *swap)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *append = path_printf(&err, GUEST_INIT " %s", swap);
	guest_boot(guest, append);
	guest_expect_system(guest, "scripted");
}

/* Name and size in KiB of each area. */
static char *areas(struct guest *guest)
{
	return guest_run(
		guest, "grep -v Filename /proc/swaps | tr -s ' \\t' ' ' | cut -d' ' -f1,3 | sort");
}

static void zram(void **state)
{
	(void)state;
	AUTO_GUEST guest = {0};
	guest_make(&guest, "scripted");
	boots_with(&guest, "snowboot.swap=zram:64M");
	AUTO_FREE char *found = areas(&guest);
	assert_string_equal(found, "/dev/zram0 65532");
}

/* A disk with a swap area on its whole, another by its label; one without any. */
static void disks(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_GUEST guest = {0};
	guest_make(&guest, "scripted");
	test_shell(
		"cd %s && truncate -s 8M a b c && mkswap -q a && mkswap -q -L second b", guest.dir);
	AUTO_FREE char *a = path_printf(&err, "%s/a", guest.dir);
	AUTO_FREE char *b = path_printf(&err, "%s/b", guest.dir);
	AUTO_FREE char *c = path_printf(&err, "%s/c", guest.dir);
	guest.machine.drives[0].path = a;
	guest.machine.drives[1].path = b;
	guest.machine.drives[2].path = c;
	boots_with(&guest, "snowboot.swap=auto");
	AUTO_FREE char *all = areas(&guest);
	assert_string_equal(all, "/dev/vda 8188\n/dev/vdb 8188");
	vm_free(guest.vm);
	guest.vm = NULL;
	boots_with(&guest, "snowboot.swap=LABEL=second,zram:16M");
	AUTO_FREE char *one = areas(&guest);
	assert_string_equal(one, "/dev/vdb 8188\n/dev/zram0 16380");
}

static void goes_on_without(void **state)
{
	(void)state;
	static const struct {
		const char *swap, *said;
	} cases[] = {
		{"snowboot.swap=LABEL=none snowboot.swap_timeout=1",
			"snowboot: no swap area 'none' appeared in 1000 ms, ignoring"},
		{"snowboot.swap=floppy",
			"snowboot: snowboot.swap: 'floppy' is not one of zram, zram:SIZE, auto, "
			"/dev/…, LABEL=…, UUID=…, ignoring"},
		{"snowboot.swop=zram",
			"snowboot: unknown parameter 'snowboot.swop=zram', ignoring"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_GUEST guest = {0};
		guest_make(&guest, "scripted");
		boots_with(&guest, cases[i].swap);
		AUTO_FREE char *log = guest_run(&guest, "dmesg | grep -o 'snowboot: .*ignoring'");
		assert_string_equal(log, cases[i].said);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zram),
		cmocka_unit_test(disks),
		cmocka_unit_test(goes_on_without),
	};
	return TEST_MAIN(tests);
}
