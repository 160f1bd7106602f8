/* SPDX-License-Identifier: MIT */
/*
 * Diskless machines whose system stays on the network, by real PXE: netroot CASE.
 *
 *	nixos-init  the node is killed while the guest is busy; the server has the system from a web
 *	            server that is a binary cache, and no store
 *	systemd     the origin goes away during the boot and comes back; then kexec
 *	scripted    a disk keeps chunks: what a reboot fetches, then what a second generation does
 *	swarm       three machines; the origin is cut off once the first has everything
 *
 * Each comes to `running`. In the first and in the third machine of the last, Nix reads and
 * verifies the whole store.
 */
#include "cached.h"
#include "netroot_guest.h"

#include "base/path.h"
#include "manifest/chunk.h"

#include <stdio.h>
#include <string.h>

#define COMPLETE_MIB 2048 /* a quarter of it is the cache, and holds all of the image */
#define OUTAGE_MS 20000
#define LATE_MAX 30 /* reads of a disk that a busy host makes wait; more hide what is measured */

/* What must hold of every machine, whatever it has been through; something was off for `off_ms`. */
static int look_inside(struct lab *lab, struct lab_client *client, const char *system,
	unsigned off_ms, struct err *err)
{
	struct console *c = vm_console(client->vm);
	if (guest_command_line(c, system, err) < 0 || guest_stage1_report(c, system, err) < 0 ||
		netroot_processes(c, err) < 0 || netroot_tables(c, err) < 0 ||
		guest_closure(c, system, err) < 0 || netroot_log_after(c, off_ms, err) < 0)
		return -1;
	lab_step(lab, "command line, stage 1's report, processes, tables, closure, no I/O error");
	return 0;
}

/* Every byte of the image is read, and found right. */
static int read_all(struct lab *lab, struct lab_client *client, const char *system, struct err *err)
{
	struct console *c = vm_console(client->vm);
	if (guest_metadata(c, system, err) < 0 || guest_content(c, system, err) < 0)
		return -1;
	lab_step(lab, "metadata as on the host, every path's content right for Nix");
	return netroot_clean_log(c, err);
}

static int serve_cached(struct lab *lab, const char *system, struct err *err)
{
	AUTO_FREE char *state = path_printf(err, "%s/state", lab->dir);
	AUTO_STRVEC words = {0};
	if (state == NULL || cached_make(lab, system, CACHED_HTTP, &words, err) < 0 ||
		strvec_push(&words, "--state", err) < 0 || strvec_push(&words, state, err) < 0)
		return -1;
	return lab_serve_words(lab, &words, err);
}

/* A machine whose node is killed under it. */
static int nixos_init(struct lab *lab, struct err *err)
{
	AUTO_FREE char *system = lab_fixture("nixos-init");
	AUTO_LAB_CLIENT client = LAB_CLIENT_INIT;
	const struct machine m = netroot_machine("52:54:00:5b:01:01");
	long long stall_ms;
	if (netroot_forget_profiles(lab, err) < 0 || serve_cached(lab, system, err) < 0)
		return -1;
	lab_step(lab, "the server serves");
	if (netroot_boot(lab, "nixos-init", &m, &client, err) < 0 ||
		guest_waited_for_nothing(vm_console(client.vm), err) < 0 ||
		netroot_await_up(lab, err) < 0 ||
		netroot_kill_nodes(vm_console(client.vm), 1, &stall_ms, err) < 0)
		return -1;
	lab_step(lab, "node killed once: the longest read took %lld ms", stall_ms);
	if (stall_ms > NETROOT_STALL_MAX_MS)
		return err_raise(err, ERR_IO, "a read took %lld ms > max %d after one kill",
			stall_ms, NETROOT_STALL_MAX_MS);
	if (netroot_kill_nodes(vm_console(client.vm), 4, &stall_ms, err) < 0)
		return -1;
	lab_step(lab, "node killed four times: the longest read took %lld ms", stall_ms);
	if (look_inside(lab, &client, system, 0, err) < 0 ||
		read_all(lab, &client, system, err) < 0 || netroot_poweroff(&client, err) < 0)
		return -1;
	lab_step(lab, "switched off in order");
	return 0;
}

/* A machine whose origin goes away in the middle of the boot, and comes back. The log has room for
 * a line every two seconds of each read that waits. */
static int systemd(struct lab *lab, struct err *err)
{
	AUTO_FREE char *system = lab_fixture("systemd");
	AUTO_LAB_CLIENT client = LAB_CLIENT_INIT;
	const struct machine m = netroot_machine("52:54:00:5b:01:03");
	static const char log[] = "log_buf_len=4M";
	unsigned ms = netroot_off_ms(OUTAGE_MS);
	if (netroot_forget_profiles(lab, err) < 0 || netroot_serve(lab, system, log, err) < 0 ||
		lab_client_start(lab, "systemd", &m, &client, err) < 0 ||
		netroot_expect_kernel(&client, err) < 0 ||
		netroot_expect_stage2(&client, err) < 0 || lab_kill_server(lab, err) < 0)
		return -1;
	lab_step(lab, "the origin is gone as the system starts");
	if (netroot_wait(&client, ms, err) < 0 || netroot_serve(lab, system, log, err) < 0)
		return -1;
	lab_step(lab, "the origin is back after %u s", ms / 1000);
	if (netroot_expect_running(&client, err) < 0)
		return -1;
	lab_step(lab, "from there to `running`");
	if (netroot_told_of_waiting(vm_console(client.vm), err) < 0 ||
		look_inside(lab, &client, system, ms, err) < 0 ||
		netroot_kexec(lab, &client, system, err) < 0)
		return -1;
	lab_step(lab, "started anew by kexec, to `running`");
	if (look_inside(lab, &client, system, 0, err) < 0 || netroot_poweroff(&client, err) < 0)
		return -1;
	lab_step(lab, "switched off in order");
	return 0;
}

/* What one boot to `running` takes from the origin. */
static int fetched_by_boot(struct lab *lab, const char *name, const struct machine *m,
	struct lab_client *client, long long *ret, struct err *err)
{
	long long before, after;
	if (netroot_origin_bytes(lab, &before, err) < 0 ||
		netroot_boot(lab, name, m, client, err) < 0 ||
		netroot_origin_bytes(lab, &after, err) < 0)
		return -1;
	*ret = after - before;
	lab_step(lab, "%s: %.2f MiB from the origin", name, (double)*ret / (1 << 20));
	return 0;
}

static int check_share(const char *what, long long bytes, long long max, struct err *err)
{
	if (bytes <= max)
		return 0;
	return err_raise(
		err, ERR_LIMIT, "%s took %lld bytes from the origin > max %lld", what, bytes, max);
}

/* The same of a machine with a disk: what that gave too late came from the origin. */
static int check_with_disk(struct lab_client *client, const char *what, long long bytes,
	long long max, struct err *err)
{
	long long late;
	if (netroot_late_reads(vm_console(client->vm), &late, err) < 0)
		return -1;
	if (late > 0)
		printf("            %lld reads of the disk were late\n", late);
	if (late > LATE_MAX)
		return err_raise(err, ERR_LIMIT, "%lld reads of the disk were late > max %d", late,
			LATE_MAX);
	return check_share(what, bytes, max + late * CHUNK_MAX, err);
}

/* A machine with a disk for its cache: booted, booted again, then with a newer system. Its init
 * clears the environment, and the node hears of its end all the same. */
static int scripted(struct lab *lab, struct err *err)
{
	AUTO_FREE char *system = lab_fixture("scripted");
	AUTO_FREE char *newer = lab_fixture("scripted-2");
	AUTO_FREE char *disk = path_printf(err, "%s/cache-disk", lab->dir);
	struct machine m = netroot_machine("52:54:00:5b:01:04");
	long long first, again, differing, limit;
	if (disk == NULL || netroot_make_cache_disk(disk, err) < 0 ||
		netroot_forget_profiles(lab, err) < 0 || netroot_serve(lab, system, NULL, err) < 0)
		return -1;
	m.drives[0].path = disk;
	AUTO_LAB_CLIENT one = LAB_CLIENT_INIT, two = LAB_CLIENT_INIT, three = LAB_CLIENT_INIT;
	if (fetched_by_boot(lab, "first", &m, &one, &first, err) < 0 ||
		netroot_await_up(lab, err) < 0)
		return -1;
	lab_step(lab, "the origin knows that it is up");
	if (netroot_reboot(&one, err) < 0)
		return -1;
	lab_step(lab, "rebooted in order");
	lab_client_done(&one);
	if (fetched_by_boot(lab, "again", &m, &two, &again, err) < 0 ||
		check_with_disk(&two, "the second boot", again, first / 100, err) < 0 ||
		netroot_poweroff(&two, err) < 0 || lab_kill_server(lab, err) < 0)
		return -1;
	lab_step(lab, "the second boot took %.2f %% of the first",
		100.0 * (double)again / (double)first);
	lab_client_done(&two);
	if (netroot_difference(system, newer, &limit, err) < 0 ||
		netroot_serve(lab, newer, NULL, err) < 0 ||
		fetched_by_boot(lab, "newer", &m, &three, &differing, err) < 0 ||
		check_with_disk(&three, "the second generation", differing, limit, err) < 0)
		return -1;
	lab_step(lab, "a second generation took %lld bytes, its new paths have %lld", differing,
		limit);
	return look_inside(lab, &three, newer, 0, err);
}

static int swarm(struct lab *lab, struct err *err)
{
	AUTO_FREE char *system = lab_fixture("scripted");
	AUTO_LAB_CLIENT one = LAB_CLIENT_INIT, two = LAB_CLIENT_INIT, three = LAB_CLIENT_INIT;
	struct machine first = netroot_machine("52:54:00:5b:01:11");
	const struct machine second = netroot_machine("52:54:00:5b:01:12"),
			     third = netroot_machine("52:54:00:5b:01:13");
	first.memory_mib = COMPLETE_MIB;
	long long by_first, by_second;
	if (netroot_forget_profiles(lab, err) < 0 ||
		netroot_serve(lab, system, "snowboot.complete=yes", err) < 0 ||
		fetched_by_boot(lab, "first", &first, &one, &by_first, err) < 0 ||
		netroot_await_complete(lab, err) < 0)
		return -1;
	lab_step(lab, "the first machine has everything");
	if (fetched_by_boot(lab, "second", &second, &two, &by_second, err) < 0 ||
		check_share("the second machine", by_second, by_first / 10, err) < 0 ||
		netroot_check_misses(lab, &second, err) < 0)
		return -1;
	if (lab_client_start(lab, "third", &third, &three, err) < 0 ||
		netroot_expect_kernel(&three, err) < 0 || netroot_expect_stage2(&three, err) < 0 ||
		lab_kill_server(lab, err) < 0)
		return -1;
	lab_step(lab, "third: attached, and the origin is gone for good");
	if (netroot_expect_running(&three, err) < 0)
		return -1;
	lab_step(lab, "third: `running` without an origin");
	struct console *c = vm_console(three.vm);
	if (guest_verify(c, err) < 0 || netroot_clean_log(c, err) < 0)
		return -1;
	lab_step(lab, "third: every path's content right for Nix, all from its peers");
	return netroot_poweroff(&three, err);
}

static const struct lab_case cases[] = {
	{"nixos-init", nixos_init},
	{"systemd", systemd},
	{"scripted", scripted},
	{"swarm", swarm},
};

int main(int argc, char **argv)
{
	return lab_main("netroot", cases, ARRAY_LEN(cases), argc, argv);
}
