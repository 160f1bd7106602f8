/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/mem.h"
#include "stage1/modules.h"

#include <unistd.h>

static const char *make_root(void)
{
	const char *root = test_tmpdir();
	test_shell("mkdir -p %s/lib/modules/1.2.3 %s/etc/modprobe.d && cd %s/lib/modules/1.2.3 && "
		   "printf 'kernel/usb-storage.ko: kernel/usbcore.ko.xz kernel/scsi_mod.ko\\n"
		   "kernel/usbcore.ko.xz:\\nkernel/scsi_mod.ko:\\n' > modules.dep && "
		   "printf 'kernel/fs/ext4/ext4.ko\\n' > modules.builtin && "
		   "printf '# comment\\nalias usb:* usb-storage\\n' > modules.alias && "
		   "printf 'softdep usb-storage pre: uas\\n' > modules.softdep && "
		   "printf 'options usb-storage delay_use=0\\nblacklist scsi-mod\\ninstall x "
		   "/bin/y\\n'"
		   " > %s/etc/modprobe.d/a.conf",
		root, root, root, root);
	return root;
}

static void reads_the_lists(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(cmdline_done) struct cmdline cmdline = {0};
	assert_ok(cmdline_parse("usb-storage.quirks=1:2:u usb_storage.swi_tru_install=1 usb.x=1 "
				"modprobe.blacklist=a,usb-core",
		&cmdline, &err));
	AUTO(modules_done) struct modules modules = {0};
	assert_ok(modules_read(make_root(), "1.2.3", &cmdline, &modules, &err));
	const struct module *module = modules_find(&modules, "usb-storage");
	assert_non_null(module);
	assert_string_equal(module->name, "usb_storage");
	assert_string_equal(module->path, "kernel/usb-storage.ko");
	assert_string_equal(module->deps, " kernel/usbcore.ko.xz kernel/scsi_mod.ko");
	assert_string_equal(modules_find(&modules, "usbcore")->path, "kernel/usbcore.ko.xz");
	assert_null(modules_find(&modules, "ext4")->path);
	assert_null(modules_find(&modules, "ext3"));
	AUTO_FREE char *params = modules_params(&modules, "usb_storage", &err);
	assert_string_equal(params, "delay_use=0 quirks=1:2:u swi_tru_install=1");
	assert_true(modules_blacklisted(&modules, "scsi_mod"));
	assert_true(modules_blacklisted(&modules, "usb_core"));
	assert_false(modules_blacklisted(&modules, "usb_storage"));
	assert_ok(modules_read_aliases(&modules, &err));
	AUTO_STRVEC found = {0};
	assert_ok(alias_index_match(&modules.aliases, "usb:v1", &found, &err));
	assert_int_equal(found.len, 1);
	assert_string_equal(found.items[0], "usb_storage");
}

static void built_in_is_loaded(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(modules_done) struct modules modules = {0};
	assert_ok(modules_read(make_root(), "1.2.3", NULL, &modules, &err));
	assert_ok(modules_load(&modules, "ext4", &err));
	assert_int_equal(modules_load(&modules, "not-there", &err), -1);
	assert_err(&err, ERR_NOT_FOUND,
		"module 'not-there' is neither in the initramfs nor built into kernel 1.2.3");
}

static void needs_no_lists(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(modules_done) struct modules modules = {0};
	assert_ok(modules_read(test_tmpdir(), "1.2.3", NULL, &modules, &err));
	assert_int_equal(modules_load_alias(&modules, "usb:v1", &err), 0);
	assert_null(modules_find(&modules, "x"));
}

static void names_a_missing_file(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(modules_done) struct modules modules = {0};
	const char *root = make_root();
	assert_ok(modules_read(root, "1.2.3", NULL, &modules, &err));
	AUTO_FREE char *expected =
		test_shell_output("printf \"module 'usb_storage' needs 'scsi_mod': "
				  "cannot load module 'scsi_mod': cannot open "
				  "'%s/lib/modules/1.2.3/kernel/scsi_mod.ko': "
				  "No such file or directory\"",
			root);
	assert_int_equal(modules_load(&modules, "usb_storage", &err), -1);
	assert_err(&err, ERR_NOT_FOUND, expected);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_lists),
		cmocka_unit_test(built_in_is_loaded),
		cmocka_unit_test(needs_no_lists),
		cmocka_unit_test(names_a_missing_file),
	};
	return TEST_MAIN(tests);
}
