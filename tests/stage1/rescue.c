/* SPDX-License-Identifier: MIT */
/* Every failure ends in the rescue prompt with its cause; the whole message is asserted. */
#include "guest.h"

#include "base/path.h"

#include <string.h>

static void expect_failure(struct guest *guest, const char *cause, const char *hint)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *cause_line = path_printf(&err, "  %s", cause);
	AUTO_FREE char *hint_line = path_printf(&err, "  hint: %s", hint != NULL ? hint : "");
	guest_expect(guest, "snowboot: the boot failed");
	guest_expect(guest, cause_line);
	if (hint != NULL)
		guest_expect(guest, hint_line);
	guest_expect(guest, "(boot with boot.shell_on_fail for a shell)");
	guest_expect_prompt(guest, "r) retry  b) reboot  p) power off, then Enter: ");
}

/* One failure: what is done to the initramfs, how it is booted, what is said. */
struct failure {
	const char *kind;
	const char *damage; /* shell text, run in the guest's folder */
	const char *append;
	const char *cause, *hint;
};

static void fails(const struct failure *f)
{
	AUTO_GUEST guest = {0};
	guest_make(&guest, f->kind);
	if (f->damage != NULL)
		test_shell("cd %s && %s", guest.dir, f->damage);
	guest_boot(&guest, f->append);
	expect_failure(&guest, f->cause, f->hint);
	struct err err = ERR_INIT;
	guest_type(&guest, "p");
	assert_ok(vm_wait(guest.vm, GUEST_TIMEOUT_MS, &err));
}

static void image_truncated(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_GUEST probe = {0};
	guest_make(&probe, "scripted");
	AUTO_FREE char *size = test_shell_output("stat -c %%s %s/root/image.squashfs", probe.dir);
	AUTO_FREE char *cause =
		path_printf(&err, "image '/image.squashfs' has %ld bytes, %s are planned",
			strtol(size, NULL, 10) - 4096, size);
	fails(&(struct failure){"scripted", "truncate -s -4096 root/image.squashfs", GUEST_INIT,
		cause,
		"the transfer was cut off, or memory was short: boot again with more memory"});
}

static void image_missing(void **state)
{
	(void)state;
	fails(&(struct failure){"scripted", "rm root/image.squashfs", GUEST_INIT,
		"image '/image.squashfs' is not in the initramfs",
		"the archive was cut off, or memory was short: boot again with more memory"});
}

/* The second part is named after a store path, the first is metadata. */
static char *part_range(struct guest *probe, int part)
{
	return test_shell_output(
		"awk '$1 == \"part\" && ++n == %d { printf \"bytes %%d to %%d\", $2, "
		"$2 + $3 - 1 }' %s/root/snowboot/plan",
		part, probe->dir);
}

#define DAMAGE_HINT \
	"memory was short, or the transfer or the memory is at fault: boot again with more memory"
#define FLIP(offset) \
	"printf 'X' | dd of=root/image.squashfs bs=1 seek=" offset " conv=notrunc status=none"

static void image_damaged(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_GUEST probe = {0};
	guest_make(&probe, "scripted");
	AUTO_FREE char *range = part_range(&probe, 2);
	AUTO_FREE char *cause = path_printf(&err,
		"image '/image.squashfs': the data of '" GUEST_TOOLS
		"' are damaged: %s have another "
		"SHA-256 than planned",
		range);
	fails(&(struct failure){"scripted", FLIP("9000"), GUEST_INIT, cause, DAMAGE_HINT});
}

static void metadata_damaged(void **state)
{
	(void)state;
	fails(&(struct failure){"scripted", FLIP("200"), GUEST_INIT " snowboot.check=metadata",
		"image '/image.squashfs': its file system metadata are damaged: bytes 0 to 4095 "
		"have "
		"another SHA-256 than planned",
		DAMAGE_HINT});
}

static void module_missing(void **state)
{
	(void)state;
	static const struct {
		const char *module, *context;
	} cases[] = {
		{"squashfs", ""},
		{"loop", "cannot make a block device of '/image.squashfs': "},
		{"overlay", "cannot mount '/sysroot/nix/store': "},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		AUTO_GUEST probe = {0};
		guest_make(&probe, "scripted");
		AUTO_FREE char *release = guest_release(&probe);
		AUTO_FREE char *damage = path_printf(&err,
			"rm root/lib/modules/*/%s.ko && sed -i '/^%s.ko:/d' "
			"root/lib/modules/*/modules.dep",
			cases[i].module, cases[i].module);
		AUTO_FREE char *cause = path_printf(&err,
			"%smodule '%s' is neither in the initramfs nor built into kernel %s",
			cases[i].context, cases[i].module, release);
		AUTO_FREE char *hint = path_printf(&err,
			"build the initramfs for this kernel, with --modules %s", cases[i].module);
		fails(&(struct failure){"scripted", damage, GUEST_INIT, cause, hint});
	}
}

/* The kernel's version itself does not count where symbols have versions; the rest does. */
static void module_refused(void **state)
{
	(void)state;
	fails(&(struct failure){"scripted",
		"strip --strip-debug root/lib/modules/*/squashfs.ko && "
		"sed -i 's/ mod_unload / mod_unl0ad /' root/lib/modules/*/squashfs.ko",
		GUEST_INIT, "cannot load module 'squashfs': it was built for another kernel",
		NULL});
}

static void init_missing(void **state)
{
	(void)state;
	fails(&(struct failure){"scripted", NULL, "init=/nix/store/gone/init",
		"cannot hand over to init: '/nix/store/gone/init' does not exist in the image",
		"the plan is for " GUEST_INIT});
}

static void init_not_given(void **state)
{
	(void)state;
	fails(&(struct failure){"scripted", NULL, "",
		"the kernel command line has 0 'init=', not one", "boot with " GUEST_INIT});
}

static void init_given_twice(void **state)
{
	(void)state;
	fails(&(struct failure){"scripted", NULL, GUEST_INIT " init=/bin/sh",
		"the kernel command line has 2 'init=', not one", "boot with " GUEST_INIT});
}

static void init_of_another_system(void **state)
{
	(void)state;
	fails(&(struct failure){"scripted", NULL, "init=" GUEST_TOOLS "/bin/busybox",
		"'init=" GUEST_TOOLS "/bin/busybox' belongs neither to '" GUEST_SYSTEM
		"' nor to one of its specialisations",
		"boot with " GUEST_INIT});
}

static void specialisation_of_nixos_init(void **state)
{
	(void)state;
	fails(&(struct failure){"nixos-init", NULL, "init=" GUEST_SYSTEM "-quiet/init",
		"'init=" GUEST_SYSTEM "-quiet/init' is a specialisation, and the plan describes "
		"'" GUEST_SYSTEM "'",
		"serve the specialisation as a system of its own"});
}

static void plan_cut_off(void **state)
{
	(void)state;
	fails(&(struct failure){"scripted", "sed -i '$d' root/snowboot/plan", GUEST_INIT,
		"cannot read the hand-over plan '/snowboot/plan': plan: line 11 is cut off", NULL});
}

static void unknown_check(void **state)
{
	(void)state;
	fails(&(struct failure){"scripted", NULL, GUEST_INIT " snowboot.check=maybe",
		"'snowboot.check=maybe' is not one of full, metadata, no", NULL});
}

/* The damage is repaired from the shell, and the next attempt boots. */
static void repaired_and_retried(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_GUEST guest = {0};
	guest_make(&guest, "scripted");
	test_shell("cd %s/root && mv lib/modules/*/overlay.ko .", guest.dir);
	AUTO_FREE char *release = guest_release(&guest);
	guest_boot(&guest, GUEST_INIT " boot.shell_on_fail");
	AUTO_FREE char *cause = path_printf(&err,
		"  cannot mount '/sysroot/nix/store': cannot load module 'overlay': cannot open "
		"'/lib/modules/%s/overlay.ko': No such file or directory",
		release);
	guest_expect(&guest, cause);
	static const char question[] = "r) retry  b) reboot  p) power off  s) shell, then Enter: ";
	guest_expect_prompt(&guest, question);
	guest_type(&guest, "s");
	guest_expect_prompt(&guest, "rescue# ");
	assert_ok(shell_adopt(vm_console(guest.vm), GUEST_TIMEOUT_MS, &err));
	/* The kernel's modprobe is ours; a module that is not there is its exit status. */
	AUTO_FREE char *loaded =
		guest_run(&guest, "modprobe -q -- zram && busybox lsmod | busybox grep -o '^zram'");
	assert_string_equal(loaded, "zram");
	AUTO_FREE char *status = guest_run(&guest, "modprobe -q -- nothing || echo status $?");
	assert_string_equal(status, "status 1");
	guest_type(&guest, "busybox mv /overlay.ko /lib/modules/*/ && exit");
	guest_expect_prompt(&guest, question);
	guest_type(&guest, "r");
	guest_expect_system(&guest, "scripted");
	AUTO_FREE char *attempt =
		guest_run(&guest, "grep -o '\"attempt\":[0-9]*' /run/snowboot/boot.json");
	assert_string_equal(attempt, "\"attempt\":2");
	AUTO_FREE char *roots = guest_run(&guest, "grep -c squashfs /proc/mounts");
	assert_string_equal(roots, "1");
}

/* A failure of prepare-root, by status and by signal. */
static void prepare_root_fails(void **state)
{
	(void)state;
	static const struct {
		const char *tail, *cause;
	} cases[] = {
		{"exit 3", "  '" GUEST_SYSTEM "/prepare-root' failed with exit status 3"},
		{"kill -SEGV \\$\\$",
			"  '" GUEST_SYSTEM
			"/prepare-root' was killed by signal 11 (Segmentation fault)"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *dir = test_tmpdir();
		test_shell("GUEST_PREPARE=\"%s\" %s/make-guest.sh %s systemd %s", cases[i].tail,
			TEST_DIR, dir, STAGE1);
		AUTO_GUEST guest = {
			.dir = strdup(dir), .machine = {.memory_mib = 256, .no_reboot = true}};
		guest_boot(&guest, GUEST_INIT);
		guest_expect(&guest, cases[i].cause);
	}
}

static void panics_when_asked(void **state)
{
	(void)state;
	static const char *const words[] = {"boot.panic_on_fail", "stage1panic=1"};
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		struct err err = ERR_INIT;
		AUTO_GUEST guest = {0};
		guest_make(&guest, "scripted");
		guest_boot(&guest, words[i]);
		guest_expect(&guest, "  the kernel command line has 0 'init=', not one");
		assert_ok(console_expect(vm_console(guest.vm),
			"Kernel panic - not syncing: sysrq triggered crash", GUEST_TIMEOUT_MS, NULL,
			&err));
		assert_ok(vm_wait(guest.vm, GUEST_TIMEOUT_MS, &err)); /* panic=-1 reboots */
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(image_truncated),
		cmocka_unit_test(image_missing),
		cmocka_unit_test(image_damaged),
		cmocka_unit_test(metadata_damaged),
		cmocka_unit_test(module_missing),
		cmocka_unit_test(module_refused),
		cmocka_unit_test(init_missing),
		cmocka_unit_test(init_not_given),
		cmocka_unit_test(init_given_twice),
		cmocka_unit_test(init_of_another_system),
		cmocka_unit_test(specialisation_of_nixos_init),
		cmocka_unit_test(plan_cut_off),
		cmocka_unit_test(unknown_check),
		cmocka_unit_test(repaired_and_retried),
		cmocka_unit_test(prepare_root_fails),
		cmocka_unit_test(panics_when_asked),
	};
	return TEST_MAIN(tests);
}
