/* SPDX-License-Identifier: MIT */
#include "vm/machine.h"

#include "test.h"

#include <string.h>

/* The command line of the machine, with blanks between, is exactly this. */
static void check(const struct machine *m, const char *want)
{
	struct err err = ERR_INIT;
	AUTO_STRVEC argv = {0};
	assert_ok(machine_command(m, &argv, &err));
	AUTO_FREE char *line = strvec_join(&argv, " ", &err);
	assert_string_equal(line, want);
}

static void check_fails(const struct machine *m, enum err_kind kind, const char *message)
{
	struct err err = ERR_INIT;
	AUTO_STRVEC argv = {0};
	assert_int_equal(machine_command(m, &argv, &err), -1);
	assert_err(&err, kind, message);
}

static void smallest(void **state)
{
	(void)state;
	struct machine m = {.accel = ACCEL_TCG};
	check(&m,
		"qemu-system-x86_64 -name snowboot -no-user-config -nodefaults -display none "
		"-machine pc,graphics=off -accel tcg,thread=multi -cpu max -m 1024M -smp 2");
}

static void direct_kernel(void **state)
{
	(void)state;
	struct machine m = {.accel = ACCEL_KVM,
		.qemu = "/opt/qemu",
		.name = "test",
		.memory_mib = 512,
		.cpus = 1,
		.kernel = "/k",
		.initrd = "/i",
		.append = "console=ttyS0 quiet",
		.no_reboot = true,
		.console_fd = 5,
		.qmp_fd = 6,
		.more = (const char *const[]){"-device", "virtio-rng-pci", NULL}};
	check(&m,
		"/opt/qemu -name test -no-user-config -nodefaults -display none "
		"-machine pc,graphics=off -accel kvm -cpu host -m 512M -smp 1 -no-reboot "
		"-chardev socket,id=console,fd=5 -serial chardev:console "
		"-chardev socket,id=monitor,fd=6 -mon chardev=monitor,mode=control "
		"-kernel /k -initrd /i -append console=ttyS0 quiet -device virtio-rng-pci");
}

static void uefi_by_its_own_pxe_stack(void **state)
{
	(void)state;
	struct machine m = {.accel = ACCEL_TCG,
		.cpu = "qemu64",
		.firmware = FIRMWARE_UEFI,
		.firmware_dir = "/o,vmf",
		.nics = {{.kind = NIC_TAP,
			.mac = "52:54:00:00:00:01",
			.rom = NIC_ROM_NONE,
			.boot = true,
			.tap_fd = 9}}};
	check(&m,
		"qemu-system-x86_64 -name snowboot -no-user-config -nodefaults -display none "
		"-machine pc,graphics=off -accel tcg,thread=multi -cpu qemu64 -m 1024M -smp 2 "
		"-drive if=pflash,unit=0,format=raw,readonly=on,file=/o,,vmf/OVMF_CODE_4M.fd "
		"-drive if=pflash,unit=1,format=raw,snapshot=on,file=/o,,vmf/OVMF_VARS_4M.fd "
		"-netdev tap,id=net0,fd=9 "
		"-device virtio-net-pci,netdev=net0,mac=52:54:00:00:00:01,romfile=,bootindex=1");
}

static void every_kind_of_card(void **state)
{
	(void)state;
	struct machine m = {.accel = ACCEL_TCG,
		.nics = {{.kind = NIC_USER,
				 .model = "e1000",
				 .rom = NIC_ROM_FILE,
				 .rom_file = "/r.rom",
				 .boot = true,
				 .tftp_dir = "/srv",
				 .boot_file = "http://10.0.2.2:8080/boot/a,b/netboot.ipxe",
				 .host_forward = (const char *const[]){"tcp::2222-:22",
					 "tcp::80-:80", NULL}},
			{0}, {.kind = NIC_SOCKET, .multicast = "230.0.0.1:1234", .boot = true}}};
	check(&m,
		"qemu-system-x86_64 -name snowboot -no-user-config -nodefaults -display none "
		"-machine pc,graphics=off -accel tcg,thread=multi -cpu max -m 1024M -smp 2 "
		"-netdev "
		"user,id=net0,tftp=/srv,bootfile=http://10.0.2.2:8080/boot/a,,b/netboot.ipxe,"
		"hostfwd=tcp::2222-:22,hostfwd=tcp::80-:80 "
		"-device e1000,netdev=net0,romfile=/r.rom,bootindex=1 "
		"-netdev socket,id=net2,mcast=230.0.0.1:1234 "
		"-device virtio-net-pci,netdev=net2,bootindex=2");
}

static void drives(void **state)
{
	(void)state;
	struct machine m = {.accel = ACCEL_TCG,
		.drives = {{.path = "/a.img"},
			{.path = "/b.qcow2",
				.format = "qcow2",
				.device = "usb-storage",
				.serial = "stick",
				.read_only = true,
				.throw_away = true}}};
	check(&m,
		"qemu-system-x86_64 -name snowboot -no-user-config -nodefaults -display none "
		"-machine pc,graphics=off -accel tcg,thread=multi -cpu max -m 1024M -smp 2 "
		"-drive if=none,id=drive0,format=raw,file=/a.img "
		"-device virtio-blk-pci,drive=drive0 "
		"-drive if=none,id=drive1,format=qcow2,readonly=on,snapshot=on,file=/b.qcow2 "
		"-device usb-storage,drive=drive1,serial=stick");
}

static void arm_with_uboot(void **state)
{
	(void)state;
	struct machine m = {.accel = ACCEL_TCG,
		.cpu = "cortex-a57",
		.firmware = FIRMWARE_UBOOT,
		.nics = {{.kind = NIC_TAP, .tap_fd = 7, .rom = NIC_ROM_NONE}}};
	check(&m,
		"qemu-system-aarch64 -name snowboot -no-user-config -nodefaults -display none "
		"-machine virt -accel tcg,thread=multi -cpu cortex-a57 -m 1024M -smp 2 "
		"-bios /usr/lib/u-boot/qemu_arm64/u-boot.bin -netdev tap,id=net0,fd=7 "
		"-device virtio-net-pci,netdev=net0,romfile=");
}

static void impossible(void **state)
{
	(void)state;
	struct machine m = {0};
	check_fails(&m, ERR_BUG, "the accelerator of a machine is not decided");
	m = (struct machine){.accel = ACCEL_TCG, .memory_mib = 63};
	check_fails(&m, ERR_USAGE, "63 MiB of memory are too few for a BIOS machine (min 64)");
	m = (struct machine){.accel = ACCEL_TCG, .memory_mib = 127, .firmware = FIRMWARE_UEFI};
	check_fails(&m, ERR_USAGE, "127 MiB of memory are too few for UEFI (min 128)");
	m = (struct machine){.accel = ACCEL_TCG, .nics = {{.kind = NIC_USER, .mac = "1:2:3"}}};
	check_fails(
		&m, ERR_USAGE, "'1:2:3' is not the MAC address of a card, like 52:54:00:12:34:56");
	char name[129];
	memset(name, 'a', 128);
	name[128] = '\0';
	m = (struct machine){.accel = ACCEL_TCG, .nics = {{.kind = NIC_USER, .boot_file = name}}};
	struct err err = ERR_INIT;
	AUTO_STRVEC argv = {0};
	assert_int_equal(machine_command(&m, &argv, &err), -1);
	assert_non_null(strstr(err.msg, "' has 128 bytes > max 127 of a DHCP packet"));
	name[127] = '\0';
	err_reset(&err);
	assert_ok(machine_command(&m, &argv, &err));
}

static void mac_addresses(void **state)
{
	(void)state;
	assert_true(machine_mac_valid("52:54:00:12:34:56"));
	assert_true(machine_mac_valid("aA:bB:cC:dD:eE:fF"));
	assert_false(machine_mac_valid("53:54:00:12:34:56")); /* a group address */
	assert_false(machine_mac_valid("52:54:00:12:34:5"));
	assert_false(machine_mac_valid("52:54:00:12:34:567"));
	assert_false(machine_mac_valid("52-54-00-12-34-56"));
	assert_false(machine_mac_valid("5g:54:00:12:34:56"));
	assert_false(machine_mac_valid(""));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(smallest),
		cmocka_unit_test(direct_kernel),
		cmocka_unit_test(uefi_by_its_own_pxe_stack),
		cmocka_unit_test(every_kind_of_card),
		cmocka_unit_test(drives),
		cmocka_unit_test(arm_with_uboot),
		cmocka_unit_test(impossible),
		cmocka_unit_test(mac_addresses),
	};
	return TEST_MAIN(tests);
}
