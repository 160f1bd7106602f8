/* SPDX-License-Identifier: MIT */
/*
 * The supervisor and the kernel's network block device, on both kernels of the fixtures: a system
 * whose store lies on /dev/nbd0 runs on whatever happens to the process that serves it.
 */
#include "guest.h"

#include "base/path.h"

#include <stdio.h>
#include <string.h>

#define STALL_MAX_MS 5000
#define KILLS 8

static void boot(struct guest *guest, const char *kind)
{
	guest_make(guest, kind);
	guest->machine.memory_mib = 384;
	test_shell("cp %s %s/root/init", NBD_INIT, guest->dir);
	guest_boot(guest, "loglevel=4 printk.devkmsg=on");
	guest_expect_system(guest, kind);
	/* Debian's busybox has no pgrep. */
	AUTO_FREE char *ignored = guest_run(guest,
		"busybox --install -s /tmp; export PATH=$PATH:/tmp; "
		"pids() { for p in /proc/[0-9]*; do case \"$(cat $p/cmdline 2> /dev/null)\" in "
		"\"$1\"*) echo ${p#/proc/} ;; esac; done; }");
}

static void expect_output(struct guest *guest, const char *command, const char *want)
{
	AUTO_FREE char *output = guest_run(guest, command);
	assert_string_equal(output, want);
}

/* The bytes are the host's, and the device is as it was asked for. */
static void reads_everything(struct guest *guest)
{
	AUTO_FREE char *want =
		test_shell_output("sha256sum < %s/root/image.squashfs | cut -d' ' -f1", guest->dir);
	expect_output(guest, "sha256sum /dev/nbd0 | cut -d' ' -f1", want);
	expect_output(guest, "cat /sys/block/nbd0/queue/io_timeout /sys/block/nbd0/ro", "2000\n1");
	expect_output(guest, "cat /sys/block/nbd0/queue/max_sectors_kb", "1024");
}

/* Both processes outlive signals, and their program's file is gone. */
static void stays(struct guest *guest)
{
	AUTO_FREE char *before = guest_run(guest, "pids @snowboot-");
	assert_non_null(strchr(before, '\n'));
	AUTO_FREE char *ignored = guest_run(guest,
		"for s in TERM HUP INT PIPE QUIT; do kill -$s $(pids @snowboot-); done; sleep 0.3");
	expect_output(guest, "pids @snowboot-", before);
	expect_output(guest,
		"for p in $(pids @snowboot-); do readlink /proc/$p/exe; "
		"cat /proc/$p/oom_score_adj; awk '/VmLck/ && $2 > 500 { print \"locked\" }' "
		"/proc/$p/status; done",
		"/init (deleted)\n-1000\nlocked\n/init (deleted)\n-1000\nlocked");
	expect_output(guest, "ls -1 /proc/$(pids @snowboot-superv)/root", "dev\nproc\nrun\nsys");
}

struct account {
	unsigned long long reads, wrong, errors, longest_ms;
};

static struct account finish_reading(struct guest *guest)
{
	struct account found = {0};
	AUTO_FREE char *line =
		guest_run(guest, "touch /tmp/enough; wait; tail -n 1 /tmp/reader.log");
	if (sscanf(line, "reads %llu wrong %llu errors %llu longest-ms %llu", &found.reads,
		    &found.wrong, &found.errors, &found.longest_ms) != 4)
		fail_msg("the reader says '%s'", line);
	assert_true(found.reads > 100);
	assert_int_equal(found.wrong, 0);
	assert_int_equal(found.errors, 0);
	return found;
}

static void start_reading(struct guest *guest)
{
	AUTO_FREE char *ignored = guest_run(guest,
		"rm -f /tmp/enough; /reader 60 > /tmp/reader.log 2>&1 & "
		"until grep -q reading /tmp/reader.log; do sleep 0.1; done");
}

static void kill_once(struct guest *guest)
{
	start_reading(guest);
	/* A read that hangs is waited for, however long it does. */
	AUTO_FREE char *ignored =
		guest_run(guest, "sleep 2; kill -KILL $(pids @snowboot-node); sleep 3");
	struct account found = finish_reading(guest);
	printf("node killed once: %llu reads, the longest took %llu ms\n", found.reads,
		found.longest_ms);
	assert_in_range(found.longest_ms, 1, STALL_MAX_MS);
}

/* A guest that is busy on the same device: programs are loaded from it again and again. */
static void kill_often(struct guest *guest)
{
	start_reading(guest);
	AUTO_FREE char *ignored = guest_run(guest,
		"for i in $(seq 8); do echo 3 > /proc/sys/vm/drop_caches; "
		"sha256sum " GUEST_TOOLS "/payload >> /tmp/sums; "
		"kill -KILL $(pids @snowboot-node); sleep 0.$((i * 7 % 10)); done; sleep 2");
	expect_output(guest, "sort -u /tmp/sums | wc -l", "1");
	struct account found = finish_reading(guest);
	printf("node killed %d times: %llu reads, the longest took %llu ms\n", KILLS, found.reads,
		found.longest_ms);
	/* A read may be hit by two kills. */
	assert_in_range(found.longest_ms, 1, 2 * STALL_MAX_MS);
	expect_output(guest, "dmesg | grep -c 'the node was killed by signal 9'", "9");
	expect_output(guest, "dmesg | grep -ciE 'i/o error|buffer error|squashfs error' || :", "0");
}

static void run(const char *kind)
{
	AUTO_GUEST guest = {0};
	boot(&guest, kind);
	reads_everything(&guest);
	stays(&guest);
	kill_once(&guest);
	kill_often(&guest);
	reads_everything(&guest);
}

static void linux_6_1(void **state)
{
	(void)state;
	run("scripted");
}

static void linux_6_12(void **state)
{
	(void)state;
	run("nixos-init");
}

int main(int argc, char **argv)
{
	setenv("GUEST_MIB", "16", 1); /* of the payload in the image */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linux_6_1),
		cmocka_unit_test(linux_6_12),
	};
	return TEST_MAIN(tests);
}
