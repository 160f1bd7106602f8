/* SPDX-License-Identifier: MIT */
/*
 * A 64-bit ARM board with nothing but a card, served beside PCs by one server: U-Boot as it is
 * delivered finds by DHCP and TFTP the system of its own processor, and that comes up with its root
 * on the network and QEMU's device tree.
 */
#include "netroot_guest.h"

#include "base/path.h"
#include "vm/deadline.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAC "52:54:00:5b:00:41"
#define MAC_NAME "01-52-54-00-5b-00-41"
#define LOADER_MS 120000
#define PREPARE_MS 300000

/* Both systems, the PCs' first. */
static int serve(struct lab *lab, const char *pc, const char *system, struct err *err)
{
	const char *const options[] = {system, NULL};
	AUTO_FREE char *ready = path_printf(err, "ready: %s", system);
	if (ready == NULL || netroot_serve_with(lab, pc, options, err) < 0)
		return -1;
	for (uint64_t deadline = deadline_in(PREPARE_MS);;) {
		AUTO_FREE char *log = lab_server_log(lab, err);
		if (log == NULL)
			return -1;
		const char *first = strstr(log, "ready: ");
		if (first != NULL && strstr(first + 1, "ready: ") != NULL)
			return 0;
		if (deadline_left_ms(deadline) == 0)
			return err_raise(err, ERR_AGAIN, "'%s' is not ready: %s", system, log);
		usleep(100000);
	}
}

static int expect(struct lab_client *client, const char *const *seen, size_t len, struct err *err)
{
	for (size_t i = 0; i < len; i++)
		if (console_expect(vm_console(client->vm), seen[i], LOADER_MS, NULL, err) < 0)
			return err_prefix(err, "waiting for '%s'", seen[i]);
	return 0;
}

/* What U-Boot does by default: the name of this machine leads nowhere, its processor's does. */
static int load(struct lab *lab, struct lab_client *client, const char *system, struct err *err)
{
	const char *name = path_basename(system);
	AUTO_FREE char *initrd = path_printf(err, "Retrieving file: /boot/%s/initrd", name);
	AUTO_FREE char *kernel = path_printf(err, "Retrieving file: /boot/%s/bzImage", name);
	if (initrd == NULL || kernel == NULL)
		return -1;
	const char *const seen[] = {"Executing script at",
		"Retrieving file: pxelinux.cfg/" MAC_NAME,
		"Retrieving file: pxelinux.cfg/default-arm", "Config file .* found", initrd, kernel,
		"Starting kernel"};
	if (expect(client, seen, ARRAY_LEN(seen), err) < 0)
		return -1;
	lab_step(lab, "power-on to the kernel, by U-Boot");
	return 0;
}

static int check_guest(struct lab_client *client, const char *system, struct err *err)
{
	struct console *c = vm_console(client->vm);
	AUTO_FREE char *machine = NULL;
	if (shell_must(c, "uname -m; cat /proc/device-tree/compatible | tr '\\0' '\\n'", 60000,
		    &machine, err) < 0)
		return -1;
	if (strcmp(machine, "aarch64\nlinux,dummy-virt") != 0)
		return err_raise(err, ERR_IO, "the machine is '%s'", machine);
	return guest_command_line(c, system, err) < 0 || guest_waited_for_nothing(c, err) < 0 ||
			guest_serves(c, system, err) < 0 || netroot_processes(c, err) < 0 ||
			netroot_clean_log(c, err) < 0
		? -1
		: 0;
}

static int boot(struct lab *lab, struct err *err)
{
	AUTO_FREE char *pc = lab_fixture("scripted"), *system = lab_fixture("arm64");
	AUTO_LAB_CLIENT client = LAB_CLIENT_INIT;
	const struct machine m = {.firmware = FIRMWARE_UBOOT,
		.cpu = "cortex-a57",
		.memory_mib = 1024,
		/* U-Boot 2023.01 misreads the address of QEMU's virtio cards. */
		.nics = {{.model = "e1000", .mac = MAC, .rom = NIC_ROM_NONE}}};
	if (serve(lab, pc, system, err) < 0 || lab_client_start(lab, "arm64", &m, &client, err) < 0)
		return -1;
	lab_step(lab, "two systems are served, the machine is on");
	if (load(lab, &client, system, err) < 0 || netroot_expect_running(&client, err) < 0)
		return -1;
	lab_step(lab, "the kernel to `running`");
	if (check_guest(&client, system, err) < 0 || netroot_poweroff(&client, err) < 0)
		return -1;
	lab_step(lab, "looked at and switched off in order");
	return lab_stop_server(lab, err);
}

static const struct lab_case cases[] = {{"uboot", boot}};

int main(int argc, char **argv)
{
	if (access("/usr/lib/u-boot/qemu_arm64/u-boot.bin", R_OK) < 0)
		test_skip("needs U-Boot: the Debian package u-boot-qemu");
	return lab_main("arm64", cases, ARRAY_LEN(cases), argc, argv);
}
