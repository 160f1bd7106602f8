/* SPDX-License-Identifier: MIT */
/*
 * UEFI HTTP boot without iPXE: OVMF fetches one file with its own driver and starts it; the machine
 * is known by its card, for which there is a machine file, and runs with a network root.
 */
#include "guest.h"
#include "lab.h"
#include "netroot_guest.h"

#include "base/outfile.h"
#include "base/path.h"
#include "vm/shell.h"

#include <stdio.h>
#include <string.h>

#define MAC "52:54:00:5b:08:01"
#define DASHES "52-54-00-5b-08-01"
#define WORD "snowboot.test=http"
#define SHORT_MS 60000
#define FIRMWARE_MS 120000

/* Firmware tries PXE before HTTP, and would be given iPXE (OvmfPkg/README, "Network Support"). */
static const char *const no_pxe[] = {"-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n",
	"-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n", NULL};

/* A file for this machine, and a default that it must not get. */
static char *make_machines(struct lab *lab, const char *system, struct err *err)
{
	AUTO_FREE char *dir = path_printf(err, "%s/machines", lab->dir);
	AUTO_FREE char *own = path_printf(err, "%s/machines/" MAC ".json", lab->dir);
	AUTO_FREE char *other = path_printf(err, "%s/machines/default.json", lab->dir);
	AUTO_FREE char *text = path_printf(
		err, "{\"system\": \"%s\", \"kernel-params\": [\"" WORD "\"]}\n", system);
	AUTO_FREE char *plain = path_printf(err, "{\"system\": \"%s\"}\n", system);
	if (dir == NULL || own == NULL || other == NULL || text == NULL || plain == NULL ||
		path_mkdirs(dir, err) < 0 || outfile_write(own, text, strlen(text), err) < 0 ||
		outfile_write(other, plain, strlen(plain), err) < 0)
		return NULL;
	return TAKE_PTR(dir);
}

static int serve(struct lab *lab, const char *machines, struct err *err)
{
	AUTO_FREE char *state = path_printf(err, "%s/state", lab->dir);
	const char *const options[] = {"--machines", machines, "--state", state};
	AUTO_STRVEC words = {0};
	if (state == NULL)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (strvec_push(&words, options[i], err) < 0)
			return -1;
	return lab_serve_words(lab, &words, err);
}

/* One download was all, by HTTP, and the server knew whose it was. */
static int check_server(struct lab *lab, struct err *err)
{
	static const char *const wanted[] = {MAC " uki: /boot/default/uki.efi", "by '" MAC ".json'",
		MAC " node: stage 2", MAC " node: multi-user"};
	static const char *const unwanted[] = {"netboot.ipxe", "snponly.efi", " tftp:", "bzImage"};
	AUTO_FREE char *log = lab_server_log(lab, err);
	if (log == NULL)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		if (strstr(log, wanted[i]) == NULL)
			return err_raise(
				err, ERR_IO, "the server does not say '%s': %s", wanted[i], log);
	for (size_t i = 0; i < ARRAY_LEN(unwanted); i++)
		if (strstr(log, unwanted[i]) != NULL)
			return err_raise(err, ERR_IO, "the server sent '%s': %s", unwanted[i], log);
	return 0;
}

/* As its steps the status has the lease, the download and what the node told. */
static int check_status(struct err *err)
{
	AUTO_FREE char *output = NULL;
	return lab_run(
		"curl -sSf http://" LAB_HOST ":8080/v1/machines/" MAC " | python3 -c '"
		"import json, sys\n"
		"steps = [s[\"step\"] for s in json.load(sys.stdin)[\"timeline\"][\"steps\"]]\n"
		"sys.exit(steps[:3] != [\"dhcp\", \"uki\", \"stage 1\"] or "
		"steps.count(\"uki\") != 1 or "
		"steps.index(\"stage 2\") > steps.index(\"multi-user\"))' || "
		"{ curl -sS http://" LAB_HOST ":8080/v1/machines/" MAC "; false; }",
		&output, err);
}

static int check_guest(struct lab_client *client, const char *system, struct err *err)
{
	AUTO_FREE char *command = path_printf(err,
		"[ \"$(readlink -f /run/current-system)\" = %s ] || echo system; "
		"grep -qw " WORD " /proc/cmdline || echo parameter; "
		"grep -qw BOOTIF=01-" DASHES " /proc/cmdline || echo card; "
		"[ -d /sys/firmware/efi ] || echo firmware; "
		"grep -q '^/dev/dm-0 [^ ]* squashfs ro' /proc/mounts || echo root",
		system);
	AUTO_FREE char *output = NULL;
	if (command == NULL ||
		shell_must(vm_console(client->vm), command, SHORT_MS, &output, err) < 0)
		return -1;
	return output[strspn(output, " \r\n")] == '\0'
		? 0
		: err_raise(err, ERR_IO, "not what it should be: %s", output);
}

/* From power-on to the kernel; once more where the emulated kernel died before it started init. */
static int boot(struct lab *lab, const struct machine *machine, struct lab_client *client,
	bool *ret_again, struct err *err)
{
	*ret_again = false;
	if (lab_client_start(lab, "virtio", machine, client, err) < 0 ||
		console_expect(
			vm_console(client->vm), "HTTP Boot over IPv4", FIRMWARE_MS, NULL, err) < 0)
		return -1;
	lab_step(lab, "the firmware boots by HTTP");
	if (netroot_expect_kernel(client, err) < 0) {
		*ret_again = test_kernel_died_early(client->transcript);
		return -1;
	}
	lab_step(lab, "one file later the kernel runs");
	return 0;
}

static int virtio(struct lab *lab, struct err *err)
{
	const struct machine machine = {.memory_mib = 1024,
		.firmware = FIRMWARE_UEFI,
		.nics = {{.mac = MAC, .rom = NIC_ROM_NONE, .boot = true}},
		.more = no_pxe};
	AUTO_FREE char *system = lab_fixture("systemd");
	AUTO_FREE char *machines = make_machines(lab, system, err);
	AUTO_LAB_CLIENT client = LAB_CLIENT_INIT;
	bool again = false;
	if (machines == NULL || serve(lab, machines, err) < 0)
		return -1;
	lab_step(lab, "the server serves");
	int r = boot(lab, &machine, &client, &again, err);
	if (r < 0 && again) {
		err_reset(err);
		lab_client_done(&client);
		r = boot(lab, &machine, &client, &again, err);
	}
	if (r < 0 || netroot_expect_running(&client, err) < 0)
		return -1;
	lab_step(lab, "the system is up");
	if (check_guest(&client, system, err) < 0 || check_server(lab, err) < 0 ||
		check_status(err) < 0)
		return -1;
	lab_step(lab, "what was asked for, and nothing else was fetched");
	return netroot_poweroff(&client, err);
}

int main(int argc, char **argv)
{
	static const struct lab_case cases[] = {{"virtio", virtio}};
	return lab_main("http", cases, ARRAY_LEN(cases), argc, argv);
}
