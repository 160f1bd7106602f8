/* SPDX-License-Identifier: MIT */
/*
 * A machine without a disk boots a fixture over PXE into RAM, to the login prompt, and is looked
 * at from inside: pxe CASE. The four cases differ in firmware, in who fetches iPXE, in the kind of
 * the system, and in where the server has it from. Each machine has the memory that the server
 * names as the least.
 */
#include "cached.h"
#include "guest.h"
#include "lab.h"

#include "base/mem.h"
#include "vm/shell.h"

#include "test.h"

#include <stdio.h>
#include <string.h>

/* Firmware to login prompt takes 20 to 60 s emulated; the rest is for busy machines. */
#define BOOT_TIMEOUT_MS 240000

struct pxe_case {
	const char *name, *fixture;
	enum firmware_kind firmware;
	const char *card; /* NULL: virtio */
	enum nic_rom rom;
	/* The file that the firmware must have fetched by TFTP; NULL: iPXE comes with the card. */
	const char *chain;
	/* On top of what the server names: UEFI, iPXE's copy of the initrd beside the EFI stub's.
	 */
	unsigned more_mib;
	bool cached; /* the server has no store, but a binary cache */
};

static const struct pxe_case cases[] = {
	{"scripted-bios", "scripted", FIRMWARE_BIOS, "e1000", NIC_ROM_IPXE, NULL, 0, false},
	{"systemd-bios", "systemd", FIRMWARE_BIOS, NULL, NIC_ROM_IPXE, NULL, 0, false},
	{"nixos-init-bios", "nixos-init", FIRMWARE_BIOS, "e1000e", NIC_ROM_IPXE, NULL, 0, false},
	{"systemd-ovmf", "systemd", FIRMWARE_UEFI, NULL, NIC_ROM_NONE, "snponly.efi", 384, true},
};

/* What the server saw of the machine: its steps, and the chain-loaded iPXE if there must be one. */
static int check_server(struct lab *lab, const struct pxe_case *test, struct err *err)
{
	AUTO_FREE char *log = lab_server_log(lab, err);
	if (log == NULL)
		return -1;
	const char *const steps[] = {"netboot.ipxe", "bzImage", "initrd", test->chain};
	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		if (steps[i] != NULL && strstr(log, steps[i]) == NULL)
			return err_raise(
				err, ERR_IO, "the server never sent '%s': %s", steps[i], log);
	/* iPXE in the card asks for no second one. */
	if (test->chain == NULL && strstr(log, "undionly.kpxe") != NULL)
		return err_raise(err, ERR_IO, "the server sent 'undionly.kpxe': %s", log);
	return 0;
}

static int serve(struct lab *lab, const struct pxe_case *test, const char *system, struct err *err)
{
	AUTO_STRVEC words = {0};
	if (!test->cached)
		return lab_serve(lab, system, err);
	if (cached_make(lab, system, CACHED_FILE, &words, err) < 0 ||
		strvec_push(&words, "--root", err) < 0 || strvec_push(&words, "ram", err) < 0)
		return -1;
	return lab_serve_words(lab, &words, err);
}

static int boot(struct lab *lab, const struct pxe_case *test, const char *system, struct err *err)
{
	struct machine m = {.firmware = test->firmware,
		.nics = {{.model = test->card,
			.mac = "52:54:00:5b:00:02",
			.rom = test->rom,
			.boot = true}}};
	unsigned memory_mib;
	if (serve(lab, test, system, err) < 0 || lab_memory_needed(lab, &memory_mib, err) < 0)
		return -1;
	m.memory_mib = memory_mib + test->more_mib;
	lab_step(lab, "the server serves, the machine gets %u MiB", (unsigned)m.memory_mib);
	if (lab_start(lab, &m, err) < 0 ||
		console_expect(lab_console(lab), "iPXE initialising|iPXE [0-9]", BOOT_TIMEOUT_MS,
			NULL, err) < 0)
		return -1;
	lab_step(lab, "firmware to iPXE");
	if (console_expect(lab_console(lab), "snowboot|Linux version", BOOT_TIMEOUT_MS, NULL, err) <
		0)
		return -1;
	lab_step(lab, "iPXE to the kernel");
	if (shell_login(lab_console(lab), "root", NULL, BOOT_TIMEOUT_MS, err) < 0)
		return -1;
	lab_step(lab, "the kernel to a shell");
	return check_server(lab, test, err);
}

/* Told by who is left of stage 1, in the system's own network; and then nobody is. */
static int check_report(struct lab *lab, struct err *err)
{
	for (unsigned i = 0;; i++) {
		AUTO_FREE char *log = lab_server_log(lab, err);
		if (log == NULL)
			return -1;
		if (strstr(log, "multi-user") != NULL)
			break;
		if (i == 60)
			return err_raise(err, ERR_AGAIN,
				"the server does not hear that the "
				"machine is up: %s",
				log);
		if (shell_must(lab_console(lab), "sleep 1", 30000, NULL, err) < 0)
			return -1;
	}
	return shell_must(lab_console(lab), "! pgrep snowboot", 30000, NULL, err);
}

static int look_inside(struct lab *lab, const char *system, struct err *err)
{
	struct console *c = lab_console(lab);
	if (guest_is_running(c, err) < 0 || guest_waited_for_nothing(c, err) < 0)
		return -1;
	lab_step(lab, "systemd is running, nothing was waited for in vain");
	if (check_report(lab, err) < 0)
		return -1;
	lab_step(lab, "the server knows");
	if (guest_command_line(c, system, err) < 0 || guest_stage1_report(c, system, err) < 0)
		return -1;
	lab_step(lab, "command line and stage 1's report");
	if (guest_memory(c, err) < 0)
		return -1;
	lab_step(lab, "one copy in RAM");
	if (guest_closure(c, system, err) < 0 || guest_metadata(c, system, err) < 0)
		return -1;
	lab_step(lab, "closure, names, types, modes, times and links as on the host");
	if (guest_serves(c, system, err) < 0)
		return -1;
	lab_step(lab, "nginx answers over the network");
	if (guest_builds(c, err) < 0)
		return -1;
	lab_step(lab, "Nix builds in its sandbox");
	if (guest_content(c, system, err) < 0)
		return -1;
	lab_step(lab, "Nix finds every path's content right");
	return 0;
}

static int switch_off(struct lab *lab, struct err *err)
{
	if (console_send(lab_console(lab), "systemctl poweroff\n", err) < 0)
		return -1;
	int r = vm_wait(lab->vm, 90000, err);
	if (r == 1)
		return err_raise(err, ERR_AGAIN, "the machine does not switch itself off");
	if (r < 0 || lab_stop_server(lab, err) < 0)
		return -1;
	lab_step(lab, "machine and server end in order");
	return 0;
}

static int run(const struct pxe_case *test, bool *ret_again, struct err *err)
{
	AUTO_FREE char *system = lab_fixture(test->fixture);
	AUTO_LAB lab = {.tap_fd = -1};
	if (lab_open(&lab, test->name, err) < 0)
		return -1;
	if (boot(&lab, test, system, err) < 0 || look_inside(&lab, system, err) < 0 ||
		switch_off(&lab, err) < 0) {
		*ret_again = test_kernel_died_early(lab.transcript);
		printf("logs are in %s\n", lab.dir);
		return vm_explain(lab.vm, err);
	}
	return 0;
}

static int run_case(const struct pxe_case *test)
{
	struct err err = ERR_INIT;
	bool again = false;
	int r = run(test, &again, &err);
	if (r < 0 && again) {
		err_reset(&err);
		r = run(test, &again, &err);
	}
	if (r < 0)
		fprintf(stderr, "FAILED: %s\n", err.msg);
	return r < 0;
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < ARRAY_LEN(cases); i++)
		if (strcmp(cases[i].name, argv[1]) == 0)
			return run_case(&cases[i]);
	fprintf(stderr, "usage: pxe CASE, where CASE is one of:");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		fprintf(stderr, " %s", cases[i].name);
	fprintf(stderr, "\n");
	return 2;
}
