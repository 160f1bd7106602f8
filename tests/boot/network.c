/* SPDX-License-Identifier: MIT */
/*
 * A network root under systems that look after the network themselves, behind NixOS's firewall:
 * network CASE. `vlan` is a node behind a VLAN that nothing else is on, `ram` one that ends once
 * all is in memory, over an outage of the origin. WHO-own is a node with an interface of its own,
 * WHO-shared one that shares the machine's card; WHO is systemd-networkd, dhcpcd or NetworkManager.
 * In each the service is started again and the link goes away for a while, and what was never read
 * before is read all the time.
 */
#include "netroot_guest.h"

#include "base/path.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MEMORY_MIB 768
/* The link; ten minutes in full length. Longer than anything in a node waits (30 s, of links). */
#define AWAY_MS 40000
#define AWAY_SHARED_MS 25000
#define ANSWER_MS 120000
#define COPY_MS 300000 /* until half of the image is in memory */
#define COPY_AWAY_MS 12000
#define COPY_TWICE_MIB 40 /* trees, and what was under way when the origin ended */

struct network_case {
	const char *name, *fixture, *service;
	bool shared;
	int (*run)(struct lab *lab, struct err *err); /* NULL: survive() */
};

/* Files that no boot has read: from the cache and the node, not from memory. */
static int reads(struct lab_client *client, const char *what, struct err *err)
{
	AUTO_FREE char *command = path_printf(err,
		"echo 3 > /proc/sys/vm/drop_caches; timeout 100 bash -c "
		"'cat $(readlink -f /run/current-system/sw)/bin/%s | cksum'",
		what);
	AUTO_FREE char *output = NULL;
	if (command == NULL)
		return -1;
	return shell_must(vm_console(client->vm), command, ANSWER_MS, &output, err);
}

static int run_in_guest(struct lab_client *client, const char *command, struct err *err)
{
	AUTO_FREE char *output = NULL;
	return shell_must(vm_console(client->vm), command, ANSWER_MS, &output, err);
}

/* The firewall is what it is on NixOS: nginx is not to be had from outside. */
static int check_firewall(struct lab_client *client, struct err *err)
{
	AUTO_FREE char *output = NULL;
	return shell_must(vm_console(client->vm),
		"systemctl is-active firewall && iptables-nft -S nixos-fw | grep -c "
		"nixos-fw-log-refuse",
		ANSWER_MS, &output, err);
}

/* A neighbour asks the node, from outside. */
static int ask_node(const char *address, bool answers, struct err *err)
{
	AUTO_FREE char *output = NULL;
	AUTO_FREE char *command = path_printf(err,
		"curl -sS -m 5 http://%s:" NETROOT_NODE_PORT
		"/metrics 2>&1 | grep -c ^snowboot_node_ || true",
		address);
	if (command == NULL || lab_run(command, &output, err) < 0)
		return -1;
	if ((strtol(output, NULL, 10) > 0) == answers)
		return 0;
	return err_raise(err, ERR_IO,
		answers ? "the node at %s does not answer a neighbour"
			: "the firewall of %s lets a neighbour in",
		address);
}

static int set_link(struct lab_client *client, bool up, struct err *err)
{
	return qmp_execute(vm_qmp(client->vm), "set_link",
		json_pack("{s:s, s:b}", "name", "net0", "up", up), 10000, NULL, err);
}

/* Pulls the cable while something is read that is not there yet. */
static int pull_cable(struct lab *lab, struct lab_client *client, bool shared, struct err *err)
{
	unsigned ms = netroot_off_ms(shared ? AWAY_SHARED_MS : AWAY_MS);
	if (set_link(client, false, err) < 0 ||
		run_in_guest(client,
			"echo 3 > /proc/sys/vm/drop_caches; (cat "
			"$(readlink -f /run/current-system/sw)/bin/git | cksum > "
			"/run/read-away; echo done >> /run/read-away) &",
			err) < 0 ||
		netroot_wait(client, ms, err) < 0 || set_link(client, true, err) < 0)
		return -1;
	lab_step(lab, "the link was away for %u s", ms / 1000);
	if (run_in_guest(client,
		    "for i in $(seq 90); do grep -q done /run/read-away && break; sleep 1; done; "
		    "grep done /run/read-away",
		    err) < 0)
		return -1;
	return netroot_log_after(vm_console(client->vm), ms, err);
}

static int survive(struct lab *lab, const struct network_case *test, struct err *err)
{
	AUTO_FREE char *system = lab_fixture(test->fixture);
	AUTO_LAB_CLIENT client = LAB_CLIENT_INIT;
	const struct machine m = {.memory_mib = MEMORY_MIB,
		.nics = {{.mac = "52:54:00:5b:02:01", .rom = NIC_ROM_IPXE, .boot = true}}};
	char address[64];
	AUTO_FREE char *restart = path_printf(err, "systemctl restart %s", test->service);
	if (restart == NULL ||
		netroot_serve(lab, system, test->shared ? "snowboot.net=shared" : NULL, err) < 0 ||
		lab_client_start(lab, test->name, &m, &client, err) < 0 ||
		netroot_expect_running(&client, err) < 0)
		return -1;
	lab_step(lab, "running");
	if (netroot_address(&client, test->shared, address, err) < 0 ||
		check_firewall(&client, err) < 0 || ask_node(address, !test->shared, err) < 0)
		return -1;
	lab_step(lab,
		test->shared ? "the firewall keeps a neighbour out"
			     : "a neighbour is answered, whatever the firewall says");
	for (int i = 0; i < 3; i++)
		if (run_in_guest(&client, restart, err) < 0 ||
			reads(&client,
				i == 0           ? "python3.11"
					: i == 1 ? "perl"
						 : "vim.tiny",
				err) < 0)
			return err_prefix(err, "after '%s'", restart);
	lab_step(lab, "%s was started again three times", test->service);
	if (pull_cable(lab, &client, test->shared, err) < 0)
		return -1;
	lab_step(lab, "what was being read came when the link was back");
	if (guest_is_running(vm_console(client.vm), err) < 0 || netroot_poweroff(&client, err) < 0)
		return -1;
	lab_step(lab, "switched off in order");
	return 0;
}

/* The VLAN's far end: an address, a DHCP server, and the way to the origin. */
static int make_vlan(struct lab *lab, struct err *err)
{
	AUTO_FREE char *output = NULL;
	AUTO_FREE char *command = path_printf(err,
		"'%s/vlan.py' " LAB_BRIDGE " 5 vlan5 10.78.0.1/24 "
		"10.78.0.50,10.78.0.90,255.255.255.0 '%s' %d > '%s/vlan' 2>&1 & "
		"for i in $(seq 100); do grep -q ready '%s/vlan' && exit 0; sleep 0.1; done; "
		"cat '%s/vlan'; exit 1",
		TEST_DIR, lab->dir, (int)getpid(), lab->dir, lab->dir, lab->dir);
	return command != NULL ? lab_run(command, &output, err) : -1;
}

/* The firmware boots beside the VLAN; the root lies behind it. */
static int behind_vlan(struct lab *lab, struct err *err)
{
	AUTO_FREE char *system = lab_fixture("systemd");
	AUTO_LAB_CLIENT client = LAB_CLIENT_INIT;
	/* A card that fills in its own checksums: vlan.py does not. */
	const struct machine m = {.memory_mib = MEMORY_MIB,
		.nics = {{.model = "e1000",
			.mac = "52:54:00:5b:02:02",
			.rom = NIC_ROM_IPXE,
			.boot = true}}};
	char address[64];
	if (make_vlan(lab, err) < 0 || netroot_serve(lab, system, "snowboot.vlan=5", err) < 0 ||
		lab_client_start(lab, "vlan", &m, &client, err) < 0 ||
		netroot_expect_running(&client, err) < 0 ||
		netroot_address(&client, false, address, err) < 0)
		return -1;
	if (strncmp(address, "10.78.0.", 8) != 0)
		return err_raise(
			err, ERR_IO, "the node has the address %s, not one of the VLAN", address);
	lab_step(lab, "running behind a VLAN, the node is %s", address);
	if (ask_node(address, true, err) < 0 || reads(&client, "git", err) < 0)
		return -1;
	return netroot_poweroff(&client, err);
}

/* What stage 1 showed last: MiB that are copied, and of how many. */
static int copy_progress(const struct lab_client *client, long long *ret_mib,
	long long *ret_all_mib, struct err *err)
{
	AUTO_FREE char *output = NULL;
	AUTO_FREE char *command = path_printf(err,
		"sed -n 's/.*image: \\([0-9]*\\) of \\([0-9]*\\) MiB.*/\\1 \\2/p' '%s' | tail -n 1",
		client->transcript);
	if (command == NULL || lab_run(command, &output, err) < 0)
		return -1;
	if (sscanf(output, "%lld %lld", ret_mib, ret_all_mib) == 2)
		return 0;
	return err_raise(err, ERR_NOT_FOUND, "stage 1 shows no progress: '%s'", output);
}

/* The origin ends in the middle of the copy and is started again: the copy goes on where it was, so
 * both together send little more than the image. */
static int interrupt_copy(
	struct lab *lab, struct lab_client *client, const char *system, struct err *err)
{
	long long before, after, copied, all;
	if (console_expect(vm_console(client->vm), "image: 1[0-9][0-9] of", COPY_MS, NULL, err) <
			0 ||
		netroot_origin_bytes(lab, &before, err) < 0 || lab_kill_server(lab, err) < 0 ||
		netroot_wait(client, COPY_AWAY_MS, err) < 0 ||
		copy_progress(client, &copied, &all, err) < 0)
		return -1;
	lab_step(lab, "%lld of %lld MiB were sent, then the origin was away for %d s", before >> 20,
		all, COPY_AWAY_MS / 1000);
	if (copied >= all)
		return err_raise(
			err, ERR_IO, "%lld of %lld MiB are there without an origin", copied, all);
	if (netroot_serve(lab, system, "snowboot.root=ram", err) < 0 ||
		netroot_expect_running(client, err) < 0 ||
		netroot_origin_bytes(lab, &after, err) < 0)
		return -1;
	lab_step(lab, "running; the origin sent %lld MiB more", after >> 20);
	if ((before + after) >> 20 > all + COPY_TWICE_MIB)
		return err_raise(err, ERR_LIMIT, "%lld and %lld MiB were sent for an image of %lld",
			before >> 20, after >> 20, all);
	return 0;
}

/* All of the image in memory, then neither node nor origin is needed. */
static int in_ram(struct lab *lab, struct err *err)
{
	AUTO_FREE char *system = lab_fixture("nixos-init");
	AUTO_LAB_CLIENT client = LAB_CLIENT_INIT;
	const struct machine m = {.memory_mib = 1536,
		.nics = {{.mac = "52:54:00:5b:02:03", .rom = NIC_ROM_IPXE, .boot = true}}};
	if (netroot_serve(lab, system, "snowboot.root=ram", err) < 0 ||
		lab_client_start(lab, "ram", &m, &client, err) < 0 ||
		interrupt_copy(lab, &client, system, err) < 0 ||
		netroot_await_reported(lab, err) < 0 || lab_kill_server(lab, err) < 0)
		return -1;
	lab_step(lab, "running, the origin knows, and is gone");
	struct console *c = vm_console(client.vm);
	if (run_in_guest(&client,
		    "! grep -qa '^@\\?snowboot' /proc/[0-9]*/cmdline && ! test -e "
		    "/sys/block/nbd0/pid "
		    "&& "
		    "losetup | grep -q image.squashfs",
		    err) < 0 ||
		guest_content(c, system, err) < 0)
		return -1;
	lab_step(lab, "no node, no device, and every path's content right for Nix");
	return netroot_poweroff(&client, err);
}

static const struct network_case cases[] = {
	{"networkd-own", "networkd", "systemd-networkd", false, NULL},
	{"networkd-shared", "networkd", "systemd-networkd", true, NULL},
	{"dhcpcd-own", "dhcpcd", "dhcpcd", false, NULL},
	{"dhcpcd-shared", "dhcpcd", "dhcpcd", true, NULL},
	{"manager-own", "manager", "NetworkManager", false, NULL},
	{"manager-shared", "manager", "NetworkManager", true, NULL},
	{"vlan", .run = behind_vlan},
	{"ram", .run = in_ram},
};

static int run_one(struct lab *lab, const struct network_case *test, struct err *err)
{
	return test->run != NULL ? test->run(lab, err) : survive(lab, test, err);
}

static int run_case(const struct network_case *test)
{
	struct err err = ERR_INIT;
	AUTO_LAB lab = {.tap_fd = -1, .turn_fd = -1};
	AUTO_FREE char *name = path_printf(&err, "network-%s", test->name);
	if (name == NULL || lab_open(&lab, name, &err) < 0 || run_one(&lab, test, &err) < 0) {
		fprintf(stderr, "FAILED: %s\n", err.msg);
		printf("logs are in %s\n", lab.dir != NULL ? lab.dir : "nowhere");
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < ARRAY_LEN(cases); i++)
		if (strcmp(cases[i].name, argv[1]) == 0)
			return run_case(&cases[i]);
	fprintf(stderr, "usage: network CASE, where CASE is one of:");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		fprintf(stderr, " %s", cases[i].name);
	fprintf(stderr, "\n");
	return 2;
}
