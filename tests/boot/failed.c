/* SPDX-License-Identifier: MIT */
/*
 * Machines whose stage 1 gives up: failed CASE. Each tells its origin why, by the network that it
 * brings up for that, and shows it on its console.
 *
 *	net    before a node runs: what the command line asks for makes no sense
 *	ram    a system in memory, which needs no network to boot; and it crashes at once, since it
 *is told to
 */
#include "netroot_guest.h"

#include "base/path.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BOOT_MS 240000
#define TOLD_S 60
#define TURN_MS 500

/* Until the server's log has that line. */
static int await_line(struct lab *lab, struct lab_client *client, const char *line, struct err *err)
{
	for (unsigned i = 0; i < TOLD_S * 1000 / TURN_MS; i++) {
		AUTO_FREE char *log = lab_server_log(lab, err);
		if (log == NULL)
			return -1;
		if (strstr(log, line) != NULL)
			return 0;
		/* A machine that crashed has nothing more to say. */
		if (console_read(vm_console(client->vm), 0, err) < 0)
			return -1;
		(void)usleep(TURN_MS * 1000);
	}
	return err_raise(err, ERR_AGAIN, "the server does not hear '%s'", line);
}

static int start(struct lab *lab, const char *name, const struct machine *m,
	struct lab_client *client, struct err *err)
{
	if (lab_client_start(lab, name, m, client, err) < 0)
		return -1;
	/* What other tests fear is wanted here. */
	return console_forbid(
		vm_console(client->vm), "No bootable device|No more network devices", err);
}

/* What the server says of the machine as a whole, its clock left out. */
static int check_machine(const char *mac, const char *why, struct err *err)
{
	AUTO_FREE char *command = path_printf(err,
		"curl -sSf http://" LAB_HOST ":8080/v1/machines/%s | python3 -c 'import json, sys\n"
		"m = json.load(sys.stdin)\n"
		"print(m[\"step\"], m[\"linked\"], m[\"timeline\"][\"steps\"][-1][\"step\"], "
		"m[\"failure\"], sep=\"|\", end=\"\")'",
		mac);
	AUTO_FREE char *output = NULL;
	AUTO_FREE char *want = path_printf(err, "failed|False|failed|%s", why);
	if (command == NULL || want == NULL || lab_run(command, &output, err) < 0)
		return -1;
	if (strcmp(output, want) == 0)
		return 0;
	return err_raise(err, ERR_CORRUPT, "the server has '%s', not '%s'", output, want);
}

#define NET_MAC "52:54:00:5b:04:01"
#define NET_WHY "snowboot.root takes net or ram, not 'disk'"

static int net(struct lab *lab, struct err *err)
{
	AUTO_FREE char *system = lab_fixture("nixos-init");
	AUTO_FREE char *line =
		path_printf(err, " " NET_MAC " failed: %s, " NET_WHY, path_basename(system));
	AUTO_LAB_CLIENT client = LAB_CLIENT_INIT;
	const struct machine m = netroot_machine(NET_MAC);
	if (line == NULL || netroot_serve(lab, system, "snowboot.root=disk", err) < 0 ||
		start(lab, "net", &m, &client, err) < 0 ||
		console_expect(vm_console(client.vm), "snowboot: the boot failed", BOOT_MS, NULL,
			err) < 0 ||
		console_expect(vm_console(client.vm),
			"snowboot\\.root takes net or ram, not 'disk'", BOOT_MS, NULL, err) < 0)
		return -1;
	lab_step(lab, "it says so on its console");
	if (await_line(lab, &client, line, err) < 0 || check_machine(NET_MAC, NET_WHY, err) < 0)
		return -1;
	lab_step(lab, "and the server knows");
	return 0;
}

#define RAM_MAC "52:54:00:5b:04:02"
#define RAM_WHY "'snowboot.check=twice' is not one of full, metadata, no"

static int ram(struct lab *lab, struct err *err)
{
	AUTO_FREE char *system = lab_fixture("nixos-init");
	AUTO_FREE char *line =
		path_printf(err, " " RAM_MAC " failed: %s, " RAM_WHY, path_basename(system));
	AUTO_LAB_CLIENT client = LAB_CLIENT_INIT;
	/* By the card for which iPXE is fast: all of the system comes over it. */
	struct machine m = {
		.nics = {{.model = "vmxnet3", .mac = RAM_MAC, .rom = NIC_ROM_IPXE, .boot = true}}};
	const char *const options[] = {
		system, "--root", "ram", "--append", "snowboot.check=twice boot.panic_on_fail"};
	AUTO_STRVEC words = {0};
	unsigned memory_mib;
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (strvec_push(&words, options[i], err) < 0)
			return -1;
	if (line == NULL || lab_serve_words(lab, &words, err) < 0 ||
		lab_memory_needed(lab, &memory_mib, err) < 0)
		return -1;
	m.memory_mib = memory_mib;
	if (start(lab, "ram", &m, &client, err) < 0 ||
		console_expect(vm_console(client.vm), "Kernel panic", BOOT_MS, NULL, err) < 0)
		return -1;
	lab_step(lab, "it crashes");
	if (await_line(lab, &client, line, err) < 0 || check_machine(RAM_MAC, RAM_WHY, err) < 0)
		return -1;
	lab_step(lab, "and the server knew before");
	return 0;
}

int main(int argc, char **argv)
{
	static const struct lab_case cases[] = {{"net", net}, {"ram", ram}};
	return lab_main("failed", cases, ARRAY_LEN(cases), argc, argv);
}
