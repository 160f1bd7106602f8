/* SPDX-License-Identifier: MIT */
#include "serve/extlinux.h"

#include "test.h"

#include <string.h>

static struct extlinux_who read_name(const char *name)
{
	struct extlinux_who who = {0};
	if (!extlinux_name_read(name, strlen(name), &who))
		fail_msg("'%s' is not read", name);
	return who;
}

static void names(void **state)
{
	(void)state;
	struct extlinux_who who = read_name("01-52-54-00-AB-cd-02");
	assert_string_equal(who.mac, "52:54:00:ab:cd:02");
	assert_string_equal(who.uuid, "");
	assert_string_equal(who.arch, "");
	who = read_name("4C4C4544-0042-3510-8052-b4c04f564433");
	assert_string_equal(who.uuid, "4c4c4544-0042-3510-8052-b4c04f564433");
	assert_string_equal(who.mac, "");
	who = read_name("C0A8010B");
	assert_string_equal(who.mac, "");
	assert_string_equal(read_name("default").arch, "");
	assert_string_equal(read_name("default-arm64").arch, "aarch64");
	assert_string_equal(read_name("default-arm").arch, "aarch64");
	assert_string_equal(read_name("default-arm-rk3399-board").arch, "aarch64");
	assert_string_equal(read_name("default-x86").arch, "x86_64");
	assert_string_equal(read_name("default-riscv-fu540").arch, "riscv64");
}

static void other_names(void **state)
{
	(void)state;
	static const char *const odd[] = {"", "C0A8010", "C", "C0A8010B0", "C0A8010G", "defaul",
		"defaultx", "default-", "default-sparc", "default-armx", "01-52-54-00-ab-cd",
		"06-52-54-00-ab-cd-02", "01-52-54-00-ab-cd-0g",
		"4c4c4544-0042-3510-8052-b4c04f56443"};
	struct extlinux_who who;
	for (size_t i = 0; i < ARRAY_LEN(odd); i++)
		if (extlinux_name_read(odd[i], strlen(odd[i]), &who))
			fail_msg("'%s' is read", odd[i]);
}

static void paths(void **state)
{
	(void)state;
	assert_string_equal(extlinux_path_name("pxelinux.cfg/default"), "default");
	assert_string_equal(extlinux_path_name("/pxelinux.cfg/default"), "default");
	assert_string_equal(extlinux_path_name("a/b/pxelinux.cfg/C0A8010B"), "C0A8010B");
	assert_null(extlinux_path_name("pxelinux.cfg/"));
	assert_null(extlinux_path_name("pxelinux.cfg"));
	assert_null(extlinux_path_name("xpxelinux.cfg/default"));
	assert_null(extlinux_path_name("pxelinux.cfg/default/x"));
}

static void expect(const struct extlinux *config, const char *text)
{
	struct err err = ERR_INIT;
	AUTO_BUF out = {0};
	assert_ok(extlinux_put(config, &out, &err));
	assert_string_equal(buf_str(&out, &err), text);
}

static void in_ram(void **state)
{
	(void)state;
	const struct extlinux config = {.name = "N",
		.dir = "/boot/N/",
		.cmdline = "console=ttyAMA0 init=/nix/store/N/init"};
	expect(&config,
		"DEFAULT snowboot\nPROMPT 0\nLABEL snowboot\n\tMENU LABEL N\n\tLINUX "
		"/boot/N/bzImage\n\tINITRD /boot/N/initrd\n\tAPPEND console=ttyAMA0 "
		"init=/nix/store/N/init\n");
}

static void over_the_network(void **state)
{
	(void)state;
	const struct extlinux config = {.name = "N",
		.dir = "/boot/N/",
		.cmdline = "quiet",
		.origin = "http://10.0.0.1:8080",
		.device_trees = true};
	expect(&config,
		"DEFAULT snowboot\nPROMPT 0\nLABEL snowboot\n\tMENU LABEL N\n\tLINUX "
		"/boot/N/bzImage\n\tINITRD /boot/N/initrd\n\tFDTDIR /boot/N/dtbs\n\tAPPEND quiet "
		"snowboot.origin=http://10.0.0.1:8080\n\tIPAPPEND 2\n");
}

/* Who names a tree means that one and no other. */
static void device_tree(void **state)
{
	(void)state;
	const struct extlinux config = {.name = "N",
		.dir = "/boot/N/",
		.cmdline = "quiet",
		.device_trees = true,
		.device_tree = "arm/b.dtb"};
	expect(&config,
		"DEFAULT snowboot\nPROMPT 0\nLABEL snowboot\n\tMENU LABEL N\n\tLINUX "
		"/boot/N/bzImage\n\tINITRD /boot/N/initrd\n\tFDT /boot/N/dtbs/arm/b.dtb\n\tAPPEND "
		"quiet\n");
}

static void assert_refused(const char *cmdline, const char *message)
{
	struct err err = ERR_INIT;
	AUTO_BUF out = {0};
	const struct extlinux config = {.name = "N", .dir = "/boot/N/", .cmdline = cmdline};
	assert_int_equal(extlinux_put(&config, &out, &err), -1);
	assert_err(&err, ERR_UNSUPPORTED, message);
}

static void odd_command_lines(void **state)
{
	(void)state;
	assert_refused(
		"a ${b}", "the kernel command line has '${', which U-Boot would not pass on");
	assert_refused(
		"a $(b)", "the kernel command line has '$(', which U-Boot would not pass on");
	assert_refused(
		"a\\b", "the kernel command line has a backslash, which U-Boot would not pass on");
	assert_refused(
		"a\nb", "the kernel command line has a line break, which U-Boot would not pass on");
}

/* As `mkimage -A arm64 -T script -C none -n snowboot` makes it, but for the time. */
static void script(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF out = {0};
	static const uint8_t head[] = {0x27, 0x05, 0x19, 0x56, 0xb0, 0x56, 0xaf, 0x11, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x26, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0xa0, 0x86, 0xdf, 0x87, 0x05, 0x16, 0x06, 0x00, 's', 'n', 'o', 'w', 'b', 'o', 'o',
		't', 0};
	assert_ok(extlinux_put_script(&out, &err));
	assert_int_equal(out.len, 64 + 8 + 30);
	assert_memory_equal(out.data, head, sizeof(head));
	assert_memory_equal(out.data + 72, "if pxe get; then pxe boot; fi\n", 30);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(other_names),
		cmocka_unit_test(paths),
		cmocka_unit_test(in_ram),
		cmocka_unit_test(over_the_network),
		cmocka_unit_test(device_tree),
		cmocka_unit_test(odd_command_lines),
		cmocka_unit_test(script),
	};
	return TEST_MAIN(tests);
}
