/* SPDX-License-Identifier: MIT */
/* Emulated machines on a busy host: every wait has a bound, and none is an assertion about speed
 * unless its name says so. */
#include "netroot_guest.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/path.h"
#include "vm/deadline.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MEMORY_MIB 768
#define FULL_LENGTH_MS 600000
#define HUNG_TASK_MS 110000 /* the kernel complains of tasks that wait 120 s */
#define BOOT_MS 300000
#define SHORT_MS 60000
#define LONG_MS 300000
#define UP_S 60 /* from a login prompt to the last job that systemd started with */
/* From `systemctl poweroff` to the end of the machine: a tenth of what it took to come up, 2 s on
 * an idle host, whatever it has been through. */
#define END_MIN_MS 3000
#define END_PARTS 4
/* Of a generation: catalog, plan, Nix database and registration; and what a boot happens to touch
 * that the one before did not (0.1 MiB seen). */
#define CATALOG_BYTES (1024 * 1024)
#define MISSES_MAX 20 /* one read in so many */
#define READS_MIN 300 /* of a boot to the login prompt that the node sees */

struct machine netroot_machine(const char *mac)
{
	return (struct machine){.memory_mib = MEMORY_MIB,
		.nics = {{.mac = mac, .rom = NIC_ROM_IPXE, .boot = true}}};
}

unsigned netroot_off_ms(unsigned short_ms)
{
	const char *full = getenv("SNOWBOOT_LONG");
	return full != NULL && strcmp(full, "1") == 0 ? FULL_LENGTH_MS : short_ms;
}

int netroot_serve_with(
	struct lab *lab, const char *system, const char *const *options, struct err *err)
{
	AUTO_FREE char *state = path_printf(err, "%s/state", lab->dir);
	AUTO_STRVEC words = {0};
	if (state == NULL || strvec_push(&words, system, err) < 0 ||
		strvec_push(&words, "--state", err) < 0 || strvec_push(&words, state, err) < 0)
		return -1;
	for (; *options != NULL; options++)
		if (strvec_push(&words, *options, err) < 0)
			return -1;
	return lab_serve_words(lab, &words, err);
}

int netroot_serve(struct lab *lab, const char *system, const char *append, struct err *err)
{
	const char *const options[] = {append != NULL ? "--append" : NULL, append, NULL};
	return netroot_serve_with(lab, system, options, err);
}

/* "http://10.77.0.1:8080/" */
static char *server_url(struct lab *lab, struct err *err)
{
	AUTO_FREE char *log = lab_server_log(lab, err);
	if (log == NULL)
		return NULL;
	const char *at = strstr(log, "http://" LAB_HOST);
	if (at == NULL) {
		err_raise(err, ERR_NOT_FOUND, "the server names no address: %s", log);
		return NULL;
	}
	return path_printf(err, "%.*s", (int)strcspn(at + 7, "/ \n") + 7, at);
}

/* The sum of those metrics of the origin that the awk condition chooses. */
static int sum_metrics(struct lab *lab, const char *which, long long *ret, struct err *err)
{
	AUTO_FREE char *url = server_url(lab, err);
	AUTO_FREE char *command = url == NULL
		? NULL
		: path_printf(err,
			  "curl -sSf %s/metrics | awk '%s { n += $2 } END { printf \"%%.0f\", n }'",
			  url, which);
	AUTO_FREE char *output = NULL;
	if (command == NULL || lab_run(command, &output, err) < 0)
		return -1;
	char *end;
	*ret = strtoll(output, &end, 10);
	return end != output ? 0 : err_raise(err, ERR_CORRUPT, "the origin counts '%s'", output);
}

int netroot_origin_bytes(struct lab *lab, long long *ret, struct err *err)
{
	return sum_metrics(lab,
		"/^snowboot_origin_chunk_bytes_total/ || "
		"(/^snowboot_origin_sent_bytes_total/ && !/kind=\"boot\"/)",
		ret, err);
}

int netroot_origin_boot_bytes(struct lab *lab, long long *ret, struct err *err)
{
	return sum_metrics(lab, "/^snowboot_origin_sent_bytes_total/ && /kind=\"boot\"/", ret, err);
}

/* Until a line of the origin's status matches. */
static int await_status(struct lab *lab, const char *pattern, unsigned seconds, struct err *err)
{
	AUTO_FREE char *url = server_url(lab, err);
	AUTO_FREE char *command = url == NULL
		? NULL
		: path_printf(err,
			  "for i in $(seq %u); do curl -sS %s/v1/status | grep -q '%s' && exit 0; "
			  "sleep 1; done; curl -sS %s/v1/status; exit 1",
			  seconds, url, pattern, url);
	AUTO_FREE char *output = NULL;
	return command == NULL ? -1 : lab_run(command, &output, err);
}

int netroot_await_complete(struct lab *lab, struct err *err)
{
	return await_status(lab, "\"step\": *\"complete\"", 110, err);
}

int netroot_forget_profiles(struct lab *lab, struct err *err)
{
	AUTO_FREE char *command = path_printf(err, "rm -rf '%s/state/profiles'", lab->dir);
	AUTO_FREE char *output = NULL;
	return command == NULL ? -1 : lab_run(command, &output, err);
}

int netroot_await_reported(struct lab *lab, struct err *err)
{
	return await_status(lab, "\"step\": *\"multi-user\"", UP_S, err);
}

int netroot_await_up(struct lab *lab, struct err *err)
{
	/* Only what counts is kept, and soon. */
	AUTO_FREE char *command = path_printf(err,
		"for i in $(seq 30); do ls '%s/state/profiles' | grep -q . && exit 0; sleep 1; "
		"done; echo 'the boot does not count for a profile'; exit 1",
		lab->dir);
	AUTO_FREE char *output = NULL;
	if (command == NULL || netroot_await_reported(lab, err) < 0)
		return -1;
	return lab_run(command, &output, err);
}

int netroot_check_misses(struct lab *lab, const struct machine *m, struct err *err)
{
	static const char counters[] = "import json, sys; c = json.load(sys.stdin)[\"counters\"]; "
				       "print(c[\"reads\"], c[\"misses\"])";
	long long reads, misses;
	AUTO_FREE char *url = server_url(lab, err);
	AUTO_FREE char *command = url == NULL
		? NULL
		: path_printf(err, "curl -sSf %s/v1/machines/%s | python3 -c '%s'", url,
			  m->nics[0].mac, counters);
	AUTO_FREE char *output = NULL;
	if (command == NULL || netroot_await_reported(lab, err) < 0 ||
		lab_run(command, &output, err) < 0)
		return -1;
	if (sscanf(output, "%lld %lld", &reads, &misses) != 2 || reads < READS_MIN)
		return err_raise(err, ERR_CORRUPT, "reads and misses of a boot: '%s'", output);
	lab_step(lab, "with a profile %lld of %lld reads waited for the network", misses, reads);
	if (misses * MISSES_MAX > reads)
		return err_raise(err, ERR_LIMIT,
			"%lld of %lld reads waited for the network > 1 in %d", misses, reads,
			MISSES_MAX);
	return 0;
}

int netroot_expect_kernel(struct lab_client *client, struct err *err)
{
	return console_expect(vm_console(client->vm), "Linux version|snowboot: (looking|address)",
		BOOT_MS, NULL, err);
}

int netroot_expect_stage2(struct lab_client *client, struct err *err)
{
	return console_expect(vm_console(client->vm),
		"handing over to|systemd\\[1\\]|stage 2|Welcome to", BOOT_MS, NULL, err);
}

int netroot_expect_running(struct lab_client *client, struct err *err)
{
	struct console *c = vm_console(client->vm);
	uint64_t began = deadline_now_ms();
	if (shell_login(c, "root", NULL, BOOT_MS, err) < 0)
		return vm_explain(client->vm, err);
	if (guest_is_running(c, err) < 0)
		return -1;
	client->up_ms = (unsigned)(deadline_now_ms() - began);
	return 0;
}

int netroot_boot(struct lab *lab, const char *name, const struct machine *m,
	struct lab_client *client, struct err *err)
{
	if (lab_client_start(lab, name, m, client, err) < 0 ||
		netroot_expect_kernel(client, err) < 0)
		return -1;
	lab_step(lab, "%s: firmware to the kernel", name);
	if (netroot_expect_running(client, err) < 0)
		return -1;
	lab_step(lab, "%s: the kernel to `running`", name);
	return 0;
}

/* Stage 1 shows "snowboot: address 10.77.0.157/24 on eth0, the node's own". */
int netroot_address(struct lab_client *client, bool shared, char ret[64], struct err *err)
{
	AUTO_FREE char *command = path_printf(err,
		"sed -n 's|.*snowboot: address \\([0-9.]*\\)/[0-9]* on eth0, %s.*|\\1|p' '%s'",
		shared ? "shared" : "the node", client->transcript);
	AUTO_FREE char *output = NULL;
	if (command == NULL || lab_run(command, &output, err) < 0)
		return -1;
	size_t len = strcspn(output, "\n");
	if (len == 0 || len > 63)
		return err_raise(err, ERR_NOT_FOUND, "the node got no address that is %s",
			shared ? "shared" : "its own");
	memcpy(ret, output, len);
	ret[len] = '\0';
	return 0;
}

int netroot_wait(struct lab_client *client, unsigned ms, struct err *err)
{
	uint64_t deadline = deadline_in(ms);
	unsigned left;
	while ((left = (unsigned)deadline_left_ms(deadline)) > 0)
		if (console_read(vm_console(client->vm), left, err) < 0)
			return -1;
	return 0;
}

/* What the console says behind `off` has no word that complains. */
static int check_console(const struct lab_client *client, uint64_t off, const char *const *words,
	size_t count, struct err *err)
{
	AUTO_BUF text = {0};
	if (fd_read_file(AT_FDCWD, client->transcript, 64 << 20, &text, err) < 0)
		return -1;
	const char *console = buf_str(&text, err);
	if (console == NULL)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const char *found = strstr(console + off, words[i]);
		if (found != NULL)
			return err_raise(err, ERR_IO, "the console says '%.*s'",
				(int)strcspn(found, "\r\n"), found);
	}
	return 0;
}

/* Nothing complains of the end that began behind `off`. */
static int check_end(const struct lab_client *client, uint64_t off, struct err *err)
{
	/* systemd cannot unmount /nix/store, from which it runs itself; that is as ever. */
	static const char *const complaints[] = {"timed out", "still blocked", "stop job"};
	static const char *const never[] = {"I/O error", "SQUASHFS error"};
	if (check_console(client, off, complaints, ARRAY_LEN(complaints), err) < 0)
		return -1;
	return check_console(client, 0, never, ARRAY_LEN(never), err);
}

/* *ret_off is what its console has said before. */
static int begin_end(
	struct lab_client *client, const char *command, uint64_t *ret_off, struct err *err)
{
	struct stat st;
	struct console *c = vm_console(client->vm);
	if (stat(client->transcript, &st) < 0)
		return err_sys(err, "cannot stat '%s'", client->transcript);
	*ret_off = (uint64_t)st.st_size;
	if (console_send(c, "dmesg -n 5\n", err) < 0)
		return -1;
	return console_send(c, command, err);
}

/* The end must be soon. */
static int finish(struct lab_client *client, const char *command, struct err *err)
{
	uint64_t off, began = deadline_now_ms();
	if (begin_end(client, command, &off, err) < 0)
		return -1;
	unsigned end_ms = END_MIN_MS + client->up_ms / END_PARTS;
	int r = vm_wait(client->vm, end_ms, err);
	if (r == 1)
		return err_raise(err, ERR_AGAIN,
			"the machine does not end within %u ms after '%.*s', and came up in %u",
			end_ms, (int)strcspn(command, "\n"), command, client->up_ms);
	if (r < 0 || check_end(client, off, err) < 0)
		return -1;
	printf("            '%.*s' took %.1f s\n", (int)strcspn(command, "\n"), command,
		(double)(deadline_now_ms() - began) / 1000);
	return 0;
}

int netroot_poweroff(struct lab_client *client, struct err *err)
{
	return finish(client, "systemctl poweroff\n", err);
}

int netroot_reboot(struct lab_client *client, struct err *err)
{
	return finish(client, "systemctl reboot\n", err);
}

/* kexec_file_load(2), number 320 on x86_64: the fixtures have perl and no kexec-tools. */
int netroot_kexec(struct lab *lab, struct lab_client *client, const char *system, struct err *err)
{
	static const char fresh[] = "test ! -e /run/before-kexec";
	struct console *c = vm_console(client->vm);
	uint64_t off;
	AUTO_FREE char *url = server_url(lab, err);
	AUTO_FREE char *load = url == NULL
		? NULL
		: path_printf(err,
			  "cd /run && touch before-kexec && for f in bzImage initrd; do curl -sSfO "
			  "%s/boot/%s/$f || exit 1; done; perl -e 'open K, \"<\", \"bzImage\"; "
			  "open I, "
			  "\"<\", \"initrd\"; open C, \"<\", \"/proc/cmdline\"; chomp($c = <C>); "
			  "$c .= \"\\0\"; syscall(320, fileno K, fileno I, length $c, $c, 0) == 0 "
			  "or "
			  "die $!'",
			  url, path_basename(system));
	if (load == NULL || shell_must(c, load, SHORT_MS, NULL, err) < 0 ||
		begin_end(client, "systemctl kexec\n", &off, err) < 0 ||
		netroot_expect_kernel(client, err) < 0 || netroot_expect_running(client, err) < 0 ||
		shell_must(c, fresh, SHORT_MS, NULL, err) < 0)
		return -1;
	return check_end(client, off, err);
}

int netroot_processes(struct console *c, struct err *err)
{
	AUTO_FREE char *output = NULL;
	if (shell_must(c,
		    "for n in @snowboot-supervisor @snowboot-node; do p=$(pgrep -f ^$n); "
		    "echo $(echo $p | wc -w) "
		    "$(for i in $p; do cat /proc/$i/oom_score_adj; done | sort -u); done",
		    SHORT_MS, &output, err) < 0)
		return -1;
	/* A cache disk has a helper of its own, which is a node that was forked. */
	if (strcmp(output, "1 -1000\n1 -1000") == 0 || strcmp(output, "1 -1000\n2 -1000") == 0)
		return 0;
	return err_raise(err, ERR_IO, "supervisor and node, with their OOM scores: '%s'", output);
}

int netroot_tables(struct console *c, struct err *err)
{
	/* The first word is how many reads were done (Linux Documentation/block/stat.rst). */
	return shell_must(c,
		"[ $(cat /sys/block/dm-0/dm/name) = snowboot-image ] && "
		"grep -q '^/dev/dm-0 [^ ]* squashfs ro' /proc/mounts && "
		"read -r n _ < /sys/block/nbd0/stat && read -r m _ < /sys/block/dm-0/stat && "
		"echo $m reads, $n of the node && [ $((2 * n)) -lt $m ]",
		SHORT_MS, NULL, err);
}

int netroot_told_of_waiting(struct console *c, struct err *err)
{
	return shell_must(c,
		"dmesg | grep -E \"reads wait, the first for [0-9]+ s: nobody gives chunk "
		"'[0-9a-f]{64}' of '[^']+'\" && dmesg | grep 'reads are answered again'",
		SHORT_MS, NULL, err);
}

int netroot_late_reads(struct console *c, long long *ret, struct err *err)
{
	static const char key[] = "\"disk_slow\":";
	AUTO_FREE char *output = NULL;
	if (shell_must(c,
		    "curl -sS --unix-socket /run/snowboot/node.sock http://node/v1/status | "
		    "tr -d ' ' | grep -o '\"disk_slow\":[0-9]*'",
		    SHORT_MS, &output, err) < 0)
		return -1;
	*ret = strtoll(output + strlen(key), NULL, 10);
	return 0;
}

static int find_in_log(struct console *c, const char *pattern, struct err *err)
{
	AUTO_FREE char *command = path_printf(err, "dmesg | grep -iE '%s' || :", pattern);
	AUTO_FREE char *output = NULL;
	if (command == NULL || shell_must(c, command, SHORT_MS, &output, err) < 0)
		return -1;
	return output[0] == '\0' ? 0 : err_raise(err, ERR_IO, "the kernel says: %s", output);
}

int netroot_clean_log(struct console *c, struct err *err)
{
	return find_in_log(c, "i/o error|squashfs error|hung task|blocked for", err);
}

int netroot_log_after(struct console *c, unsigned off_ms, struct err *err)
{
	if (off_ms < HUNG_TASK_MS)
		return netroot_clean_log(c, err);
	return find_in_log(c, "i/o error|squashfs error", err);
}

/* Two readers in the background: blocks around the page cache, each timed; and files, again and
 * again, whose digest must stay. */
static int start_readers(struct console *c, unsigned seconds, struct err *err)
{
	AUTO_FREE char *command = path_printf(err,
		"cat > /tmp/blocks <<'EOF'\n"
		"n=$(($(blockdev --getsize64 /dev/nbd0) / 65536)) i=1 max=0 end=$(($(date +%%s) + "
		"$1))\n"
		"while [ $(date +%%s) -lt $end ]; do\n"
		"i=$(((i * 69069 + 12345) %% n)) a=$(date +%%s%%N)\n"
		"dd if=/dev/nbd0 iflag=direct bs=64k count=1 skip=$i of=/dev/null 2> /tmp/dd || "
		"cat /tmp/dd\n"
		"t=$((($(date +%%s%%N) - a) / 1000000))\n"
		"[ $t -le $max ] || max=$t\n"
		"done\n"
		"echo max $max\n"
		"EOF\n"
		"find /nix/store -xdev -type f -size -200k | sort | awk 'NR %% 40 == 0' > "
		"/tmp/list\n"
		"cat > /tmp/files <<'EOF'\n"
		"end=$(($(date +%%s) + $1))\n"
		"while [ $(date +%%s) -lt $end ]; do\n"
		"echo 3 > /proc/sys/vm/drop_caches\n"
		"xargs cat < /tmp/list | sha256sum\n"
		"done\n"
		"EOF\n"
		"bash /tmp/blocks %u > /tmp/blocks.out 2>&1 & bash /tmp/files %u > /tmp/files.out "
		"2>&1 "
		"&",
		seconds, seconds);
	return command == NULL ? -1 : shell_must(c, command, LONG_MS, NULL, err);
}

int netroot_kill_nodes(struct console *c, unsigned times, long long *ret_stall_ms, struct err *err)
{
	AUTO_FREE char *kills = path_printf(err,
		"for i in $(seq %u); do sleep 4; pkill -KILL -f ^@snowboot-node; done; wait; "
		"cat /tmp/blocks.out; sort -u /tmp/files.out | wc -l",
		times);
	AUTO_FREE char *output = NULL;
	if (kills == NULL || start_readers(c, 4 * times + 8, err) < 0 ||
		shell_must(c, kills, LONG_MS, &output, err) < 0)
		return -1;
	unsigned digests;
	const char *said = strstr(output, "max "); /* the shell tells first which jobs are done */
	if (said == NULL || sscanf(said, "max %lld\n%u", ret_stall_ms, &digests) != 2 ||
		digests != 1)
		return err_raise(err, ERR_CORRUPT, "the readers say '%s'", output);
	return 0;
}

int netroot_make_cache_disk(const char *path, struct err *err)
{
	AUTO_FREE char *command = path_printf(err,
		"rm -f %s && truncate -s 1G %s && sgdisk -n 1:0:0 -c 1:snowboot-cache %s", path,
		path, path);
	AUTO_FREE char *output = NULL;
	return command == NULL ? -1 : lab_run(command, &output, err);
}

int netroot_difference(const char *older, const char *newer, long long *ret_bytes, struct err *err)
{
	AUTO_FREE char *command = path_printf(err,
		"export NIX_REMOTE=local NIX_CONFIG='build-users-group ='; old=$(mktemp); "
		"nix-store -qR %s > $old; "
		"nix-store -qR %s | grep -vxF -f $old | xargs nix-store -q --size | "
		"awk '{ n += $1 } END { printf \"%%.0f\", n }'; rm -f $old",
		older, newer);
	AUTO_FREE char *output = NULL;
	if (command == NULL || lab_run(command, &output, err) < 0)
		return -1;
	*ret_bytes = strtoll(output, NULL, 10) + CATALOG_BYTES;
	return 0;
}
