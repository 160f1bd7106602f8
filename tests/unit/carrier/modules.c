/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/fd.h"
#include "carrier/modules.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define STORE "/nix/store/00000000000000000000000000000000-modules"

static const char dep[] =
	"kernel/fs/squashfs/squashfs.ko.xz:\n"
	"kernel/fs/overlayfs/overlay.ko.xz:\n"
	"kernel/fs/jbd2/jbd2.ko.xz: kernel/lib/libcrc32c.ko.xz\n"
	"kernel/lib/libcrc32c.ko.xz:\n"
	"kernel/crypto/crc32c_generic.ko.xz:\n"
	"kernel/drivers/net/phy/libphy.ko.xz:\n"
	"kernel/drivers/net/phy/realtek.ko.xz: kernel/drivers/net/phy/libphy.ko.xz\n"
	"kernel/drivers/net/ethernet/realtek/r8169.ko.xz: "
	"kernel/drivers/net/mdio/mdio_devres.ko.xz "
	"kernel/drivers/net/phy/libphy.ko.xz\n"
	"kernel/drivers/net/mdio/mdio_devres.ko.xz: kernel/drivers/net/phy/libphy.ko.xz\n"
	"kernel/drivers/net/wireless/ath/ath.ko.xz:\n"
	"kernel/drivers/net/usb/r8152.ko.xz:\n"
	"kernel/drivers/net/usb/hso.ko.xz:\n";

struct tree {
	const char *dir;
	int root;
};

static void make_tree(struct tree *tree, const char *dep_text, const char *builtin)
{
	struct err err = ERR_INIT;
	tree->dir = test_tmpdir();
	test_shell("mkdir -p %s" STORE "/lib/modules/6.1", tree->dir);
	char dir[512];
	snprintf(dir, sizeof(dir), "%s" STORE "/lib/modules/6.1", tree->dir);
	test_write(dir, "modules.dep", dep_text, strlen(dep_text));
	test_write(dir, "modules.builtin", builtin, strlen(builtin));
	static const char softdep[] = "# comment\nsoftdep jbd2 pre: crypto-crc32c\n"
				      "softdep r8169 pre: realtek post: gone platform:gone\n";
	test_write(dir, "modules.softdep", softdep, strlen(softdep));
	static const char alias[] = "# comment\nalias crypto-crc32c crc32c_generic\n"
				    "alias pci:v000010ECd00008168sv*sd*bc*sc*i* r8169\n"
				    "alias usb:v0BDAp8152d*dc* r8152\n";
	test_write(dir, "modules.alias", alias, strlen(alias));
	assert_ok(fd_open(AT_FDCWD, tree->dir, O_PATH | O_DIRECTORY, &tree->root, &err));
}

static void read_ok(struct tree *tree, struct modules *modules)
{
	struct err err = ERR_INIT;
	make_tree(tree, dep, "kernel/drivers/block/loop.ko\n");
	assert_ok(modules_read(tree->root, STORE, "6.1", modules, &err));
}

static char *chosen(const struct modules *modules)
{
	struct err err = ERR_INIT;
	AUTO_STRVEC names = {0};
	VEC_FOREACH(module, &modules->items)
		if (module->chosen)
			assert_ok(strvec_push(&names, module->name, &err));
	return strvec_join(&names, " ", &err);
}

static void check_choice(const char *list, const char *expected)
{
	struct err err = ERR_INIT;
	struct tree tree;
	AUTO_MODULES modules = {0};
	read_ok(&tree, &modules);
	assert_ok(modules_choose(&modules, list, &err));
	AUTO_FREE char *names = chosen(&modules);
	assert_string_equal(names, expected);
	fd_close_ptr(&tree.root);
}

static void chooses(void **state)
{
	(void)state;
	check_choice("minimal", "crc32c_generic libcrc32c overlay squashfs");
	check_choice("r8169,",
		"crc32c_generic libcrc32c libphy mdio_devres overlay r8169 realtek squashfs");
	check_choice("jbd2", "crc32c_generic jbd2 libcrc32c overlay squashfs");
	check_choice("netboot",
		"crc32c_generic libcrc32c libphy mdio_devres overlay r8152 r8169 realtek squashfs");
	check_choice("netboot,ath,loop",
		"ath crc32c_generic libcrc32c libphy mdio_devres overlay r8152 r8169 realtek "
		"squashfs");
	check_choice("all",
		"ath crc32c_generic hso jbd2 libcrc32c libphy mdio_devres overlay r8152 r8169 "
		"realtek squashfs");
}

/* The soft dependency is an alias; without minimal's own choice it is found through the alias. */
static void follows_aliases(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct tree tree;
	make_tree(&tree,
		"kernel/fs/squashfs/squashfs.ko:\nkernel/fs/jbd2/jbd2.ko:\n"
		"kernel/other/crc32c-generic.ko:\n",
		"kernel/drivers/block/loop.ko\nkernel/fs/overlayfs/overlay.ko\n");
	AUTO_MODULES modules = {0};
	assert_ok(modules_read(tree.root, STORE, "6.1", &modules, &err));
	assert_ok(modules_choose(&modules, "jbd2", &err));
	AUTO_FREE char *names = chosen(&modules);
	assert_string_equal(names, "crc32c_generic jbd2 squashfs");
	assert_true(modules_is_builtin(&modules, "overlay"));
	assert_false(modules_is_builtin(&modules, "squashfs"));
	fd_close_ptr(&tree.root);
}

static void writes_tables(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct tree tree;
	AUTO_MODULES modules = {0};
	read_ok(&tree, &modules);
	assert_ok(modules_choose(&modules, "r8169", &err));
	struct modules_table tables[MODULES_TABLES];
	assert_ok(modules_tables(&modules, tables, &err));
	const char *expected[] = {
		"kernel/crypto/crc32c_generic.ko:\n"
		"kernel/lib/libcrc32c.ko:\n"
		"kernel/drivers/net/phy/libphy.ko:\n"
		"kernel/drivers/net/mdio/mdio_devres.ko: kernel/drivers/net/phy/libphy.ko\n"
		"kernel/fs/overlayfs/overlay.ko:\n"
		"kernel/drivers/net/ethernet/realtek/r8169.ko: "
		"kernel/drivers/net/mdio/mdio_devres.ko kernel/drivers/net/phy/libphy.ko\n"
		"kernel/drivers/net/phy/realtek.ko: kernel/drivers/net/phy/libphy.ko\n"
		"kernel/fs/squashfs/squashfs.ko:\n",
		"alias crypto-crc32c crc32c_generic\n"
		"alias pci:v000010ECd00008168sv*sd*bc*sc*i* r8169\n",
		"softdep r8169 pre: realtek post: gone platform:gone\n",
		"",
		"",
		"kernel/drivers/block/loop.ko\n",
		"",
	};
	for (size_t i = 0; i < MODULES_TABLES; i++) {
		assert_non_null(buf_str(&tables[i].text, &err));
		assert_string_equal(tables[i].text.data, expected[i]);
	}
	assert_string_equal(tables[2].name, "modules.softdep");
	modules_tables_done(tables);
	fd_close_ptr(&tree.root);
}

static void fails(const char *dep_text, const char *builtin, const char *list, enum err_kind kind,
	const char *msg)
{
	struct err err = ERR_INIT;
	struct tree tree;
	make_tree(&tree, dep_text, builtin);
	AUTO_MODULES modules = {0};
	int r = modules_read(tree.root, STORE, "6.1", &modules, &err);
	if (r == 0)
		r = modules_choose(&modules, list, &err);
	assert_int_equal(r, -1);
	assert_err(&err, kind, msg);
	fd_close_ptr(&tree.root);
}

static void says_what_is_missing(void **state)
{
	(void)state;
	fails(dep, "kernel/drivers/block/loop.ko\n", "netboot,r8170", ERR_NOT_FOUND,
		"kernel '6.1' has no 'r8170', neither as a module nor built in");
	fails(dep, "", "minimal", ERR_UNSUPPORTED,
		"kernel '6.1' has no 'loop', neither as a module nor built in, so it cannot mount "
		"an "
		"image");
	fails("kernel/fs/overlayfs/overlay.ko:\n", "", "minimal", ERR_UNSUPPORTED,
		"kernel '6.1' has no 'squashfs', neither as a module nor built in, so it cannot "
		"mount "
		"an image");
	fails("kernel/fs/squashfs/squashfs.ko:\n", "", "minimal", ERR_UNSUPPORTED,
		"kernel '6.1' has no 'overlay', neither as a module nor built in, so it cannot "
		"mount "
		"an image");
	fails("kernel/a.ko: kernel/b.ko\n", "", "minimal", ERR_CORRUPT,
		"modules of kernel '6.1': module 'a' depends on 'kernel/b.ko', which modules.dep "
		"does "
		"not have");
	fails("nonsense\n", "", "minimal", ERR_CORRUPT,
		"modules of kernel '6.1': modules.dep has the line 'nonsense'");
	fails("../../etc/passwd:\n", "", "minimal", ERR_CORRUPT,
		"modules of kernel '6.1': modules.dep has the line '../../etc/passwd:'");
}

static void no_tables(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct tree tree;
	AUTO_MODULES modules = {0};
	make_tree(&tree, dep, "");
	assert_int_equal(modules_read(tree.root, STORE, "6.2", &modules, &err), -1);
	assert_err(&err, ERR_NOT_FOUND,
		"modules of kernel '6.2': cannot open '" STORE
		"/lib/modules/6.2/modules.dep': No such file or directory");
	fd_close_ptr(&tree.root);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chooses),
		cmocka_unit_test(follows_aliases),
		cmocka_unit_test(writes_tables),
		cmocka_unit_test(says_what_is_missing),
		cmocka_unit_test(no_tables),
	};
	return TEST_MAIN(tests);
}
