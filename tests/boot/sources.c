/* SPDX-License-Identifier: MIT */
/*
 * Diskless machines, by real PXE, that get what they boot from elsewhere: sources CASE.
 *
 *	published  nginx with plain files and somebody's DHCP server: no process of ours runs
 *	peers      kernel and initramfs from a machine that runs, from the server once it is gone
 */
#include "mirror.h"
#include "netroot_guest.h"

#include "base/path.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SCRIPT_BYTES 16384 /* room for scripts where neither kernel nor initramfs may be */
#define IPXE_MS 240000
#define PART_MS 2000 /* of a kernel that takes 7 s */

static int look_inside(
	struct lab *lab, struct lab_client *client, const char *system, struct err *err)
{
	struct console *c = vm_console(client->vm);
	if (guest_command_line(c, system, err) < 0 || guest_stage1_report(c, system, err) < 0 ||
		netroot_processes(c, err) < 0 || guest_closure(c, system, err) < 0 ||
		netroot_clean_log(c, err) < 0)
		return -1;
	lab_step(lab, "command line, stage 1's report, processes, closure, no I/O error");
	return 0;
}

/* What a machine's node got from other nodes. */
static int bytes_from_peers(struct lab_client *client, long long *ret, struct err *err)
{
	char address[64];
	if (netroot_address(client, false, address, err) < 0)
		return -1;
	AUTO_FREE char *output = NULL;
	AUTO_FREE char *command = path_printf(err,
		"curl -sSf -m 20 http://%s:" NETROOT_NODE_PORT "/v1/status | python3 -c "
		"'import json, sys; print(json.load(sys.stdin)[\"received\"][\"peer_bytes\"])'",
		address);
	if (command == NULL || lab_run(command, &output, err) < 0)
		return -1;
	*ret = strtoll(output, NULL, 10);
	return 0;
}

static int published(struct lab *lab, struct err *err)
{
	AUTO_FREE char *system = lab_fixture("nixos-init");
	AUTO_MIRROR mirror = {0};
	AUTO_LAB_CLIENT one = LAB_CLIENT_INIT, two = LAB_CLIENT_INIT;
	const struct machine first = netroot_machine("52:54:00:5b:03:01"),
			     second = netroot_machine("52:54:00:5b:03:02");
	long long by_first, before, after, by_peer;
	if (mirror_start(lab, system, &mirror, err) < 0)
		return -1;
	lab_step(lab, "the system is published");
	if (netroot_boot(lab, "first", &first, &one, err) < 0 ||
		mirror_node_bytes(&mirror, &by_first, err) < 0 ||
		look_inside(lab, &one, system, err) < 0 ||
		mirror_node_bytes(&mirror, &before, err) < 0 ||
		netroot_boot(lab, "second", &second, &two, err) < 0 ||
		mirror_node_bytes(&mirror, &after, err) < 0 ||
		bytes_from_peers(&two, &by_peer, err) < 0)
		return -1;
	lab_step(lab, "first: %.2f MiB from nginx, second: %.2f MiB, and %.2f MiB from the first",
		(double)by_first / (1 << 20), (double)(after - before) / (1 << 20),
		(double)by_peer / (1 << 20));
	if (after - before > by_first / 3)
		return err_raise(err, ERR_LIMIT,
			"the second machine took %lld bytes from nginx, beside a neighbour that "
			"took %lld",
			after - before, by_first);
	if (netroot_reboot(&one, err) < 0 || netroot_poweroff(&two, err) < 0)
		return -1;
	lab_step(lab, "rebooted and switched off in order");
	return 0;
}

/* Until the node has both files for others. */
static int await_boot_files(const char *address, const char *name, struct err *err)
{
	AUTO_FREE char *output = NULL;
	AUTO_FREE char *command = path_printf(err,
		"get() { curl -sSf -m 20 -o /dev/null http://%s:" NETROOT_NODE_PORT
		"/boot/%s/$1; }; "
		"for i in $(seq 60); do get bzImage && get initrd && exit 0; sleep 1; done; exit 1",
		address, name);
	return command == NULL ? -1 : lab_run(command, &output, err);
}

/* iPXE showed that it asked that node for a kernel. */
static int check_asked(const struct lab_client *client, const char *address, struct err *err)
{
	AUTO_FREE char *output = NULL;
	AUTO_FREE char *command =
		path_printf(err, "grep -aF 'http://%s:" NETROOT_NODE_PORT "/boot/' '%s'", address,
			client->transcript);
	return command == NULL ? -1 : lab_run(command, &output, err);
}

/* The kernel alone is far more than all scripts. */
static int kernel_size(const char *system, long long *ret, struct err *err)
{
	struct stat st;
	AUTO_FREE char *kernel = path_printf(err, "%s/kernel", system);
	if (kernel == NULL)
		return -1;
	if (stat(kernel, &st) < 0)
		return err_sys(err, "cannot stat '%s'", kernel);
	*ret = st.st_size;
	return 0;
}

/* The second machine: from the first, and not from the server. */
static int boot_from_peer(struct lab *lab, const char *address, const char *system, struct err *err)
{
	AUTO_LAB_CLIENT client = LAB_CLIENT_INIT;
	const struct machine m = netroot_machine("52:54:00:5b:03:12");
	long long before, after;
	if (netroot_origin_boot_bytes(lab, &before, err) < 0 ||
		netroot_boot(lab, "second", &m, &client, err) < 0 ||
		netroot_origin_boot_bytes(lab, &after, err) < 0 ||
		check_asked(&client, address, err) < 0)
		return -1;
	lab_step(lab, "second: %lld bytes for iPXE from the server", after - before);
	if (after - before > SCRIPT_BYTES)
		return err_raise(err, ERR_LIMIT,
			"iPXE took %lld bytes from the server > max %d, with a peer that has "
			"kernel and initramfs",
			after - before, SCRIPT_BYTES);
	if (look_inside(lab, &client, system, err) < 0)
		return -1;
	return netroot_poweroff(&client, err);
}

/* How fast the newest machine's cable is, such as "10mbit"; NULL: no limit any more. */
static int limit_newest(const char *rate, struct err *err)
{
	AUTO_FREE char *output = NULL;
	AUTO_FREE char *command = path_printf(err,
		"tap=$(ip -o link | sed -n 's/^[0-9]*: \\(vm[0-9]*\\):.*/\\1/p' | tail -n 1); "
		"tc qdisc %s dev $tap root %s %s",
		rate != NULL ? "add" : "del",
		rate != NULL ? "tbf burst 32kb latency 100ms rate" : "", rate != NULL ? rate : "");
	return command == NULL ? -1 : lab_run(command, &output, err);
}

/*
 * The third: its peer is switched off in the middle of the kernel, which a slow cable makes long.
 * So one transfer stops, the next finds nobody, and the server has both.
 */
static int boot_without_peer(struct lab *lab, struct lab_client *peer, const char *address,
	const char *system, struct err *err)
{
	AUTO_LAB_CLIENT client = LAB_CLIENT_INIT;
	AUTO_FREE char *asked = path_printf(err, "%s:" NETROOT_NODE_PORT "/boot/", address);
	const struct machine m = netroot_machine("52:54:00:5b:03:13");
	long long before, after, least = 0;
	if (asked == NULL || kernel_size(system, &least, err) < 0 ||
		netroot_origin_boot_bytes(lab, &before, err) < 0 ||
		lab_client_start(lab, "third", &m, &client, err) < 0 ||
		limit_newest("10mbit", err) < 0 ||
		console_expect(vm_console(client.vm), asked, IPXE_MS, NULL, err) < 0 ||
		netroot_wait(&client, PART_MS, err) < 0)
		return -1;
	lab_client_done(peer);
	lab_step(lab, "third: its peer is gone in the middle of the kernel");
	if (limit_newest(NULL, err) < 0 || netroot_expect_running(&client, err) < 0 ||
		netroot_origin_boot_bytes(lab, &after, err) < 0)
		return -1;
	lab_step(lab, "third: `running`, with %lld bytes for iPXE from the server", after - before);
	if (after - before < least)
		return err_raise(
			err, ERR_IO, "%lld bytes are no kernel of %lld", after - before, least);
	return netroot_reboot(&client, err);
}

static int peers(struct lab *lab, struct err *err)
{
	static const char *const options[] = {"--boot-from-peers", NULL};
	AUTO_FREE char *system = lab_fixture("systemd");
	AUTO_LAB_CLIENT one = LAB_CLIENT_INIT;
	const struct machine m = netroot_machine("52:54:00:5b:03:11");
	char address[64];
	if (netroot_serve_with(lab, system, options, err) < 0 ||
		netroot_boot(lab, "first", &m, &one, err) < 0 ||
		netroot_address(&one, false, address, err) < 0 ||
		await_boot_files(address, path_basename(system), err) < 0)
		return -1;
	lab_step(lab, "first: has kernel and initramfs for others");
	if (boot_from_peer(lab, address, system, err) < 0 ||
		boot_without_peer(lab, &one, address, system, err) < 0)
		return -1;
	lab_step(lab, "rebooted and switched off in order");
	return 0;
}

static const struct lab_case cases[] = {
	{"published", published},
	{"peers", peers},
};

int main(int argc, char **argv)
{
	return lab_main("sources", cases, ARRAY_LEN(cases), argc, argv);
}
