/* SPDX-License-Identifier: MIT */
/*
 * The guest is emulated and slow, its console slower: what is large is compared by a digest that
 * the same shell command makes on both sides.
 */
#include "guest.h"

#include "lab.h"

#include "base/fd.h"
#include "base/path.h"
#include "vm/shell.h"

#include <fcntl.h>
#include <jansson.h>
#include <string.h>

#define SHORT_MS 60000
#define LONG_MS 300000
#define READ_ALL_MS 600000 /* every byte of a store, perhaps over a network */
/* What a running fixture holds in tmpfs besides the image: /etc, /var, /run, the journal. */
#define TMPFS_SLACK_KIB (96 * 1024)

int guest_is_running(struct console *c, struct err *err)
{
	int status;
	AUTO_FREE char *state = NULL;
	if (shell_run(c, "systemctl is-system-running --wait", LONG_MS, &status, &state, err) < 0)
		return -1;
	if (status == 0 && strcmp(state, "running") == 0)
		return 0;
	AUTO_FREE char *failed = NULL;
	if (shell_run(c, "systemctl --failed --no-legend --plain --no-pager", SHORT_MS, &status,
		    &failed, err) < 0)
		return -1;
	return err_raise(err, ERR_IO, "systemd says '%s', failed units: %s", state, failed);
}

int guest_waited_for_nothing(struct console *c, struct err *err)
{
	AUTO_FREE char *lines = NULL;
	if (shell_must(c, "journalctl -b --no-pager -o cat | grep -i 'timed out' || :", SHORT_MS,
		    &lines, err) < 0)
		return -1;
	return lines[0] == '\0' ? 0 : err_raise(err, ERR_IO, "something timed out: %s", lines);
}

int guest_command_line(struct console *c, const char *system, struct err *err)
{
	AUTO_FREE char *line = NULL, *params = NULL;
	AUTO_FREE char *path = path_printf(err, "%s/kernel-params", system);
	AUTO_FREE char *init = path_printf(err, " init=%s/init ", system);
	if (path == NULL || init == NULL || fd_read_line_file(AT_FDCWD, path, &params, err) < 0 ||
		shell_must(c, "printf ' %s ' \"$(cat /proc/cmdline)\"", SHORT_MS, &line, err) < 0)
		return -1;
	const char *first = strstr(line, " init=");
	if (first == NULL || strstr(first + 1, " init=") != NULL)
		return err_raise(err, ERR_IO, "init= does not stand once in '%s'", line);
	if (strncmp(first, init, strlen(init)) != 0)
		return err_raise(err, ERR_IO, "no '%s' in '%s'", init, line);
	return strstr(line, params) != NULL
		? 0
		: err_raise(err, ERR_IO, "no '%s' in '%s'", params, line);
}

/* Fails with the first line in which two texts differ. */
static int fail_differing(const char *what, const char *want, const char *got, struct err *err)
{
	size_t line = 0;
	for (size_t i = 0; want[i] != '\0' && want[i] == got[i]; i++)
		if (want[i] == '\n')
			line = i + 1;
	return err_raise(err, ERR_IO, "%s differ: '%.*s' on the host, '%.*s' in the guest", what,
		(int)strcspn(want + line, "\n"), want + line, (int)strcspn(got + line, "\n"),
		got + line);
}

/*
 * Runs `command` on both sides, with $system set and $closure a file with the sorted closure; both
 * must print the same. `what` is for the message.
 */
static int compare(struct console *c, const char *system, const char *command, const char *what,
	unsigned timeout_ms, struct err *err)
{
	static const char host[] = "export NIX_REMOTE=local NIX_CONFIG='build-users-group ='; ";
	static const char all[] = "%sexport LC_ALL=C; system=%s; closure=$(mktemp); "
				  "nix-store -qR $system | sort >$closure; %s; rm -f $closure";
	AUTO_FREE char *here = path_printf(err, all, host, system, command);
	AUTO_FREE char *there = path_printf(err, all, "", "/run/current-system", command);
	AUTO_FREE char *want = NULL, *got = NULL;
	if (here == NULL || there == NULL || lab_run(here, &want, err) < 0 ||
		shell_must(c, there, timeout_ms, &got, err) < 0)
		return -1;
	return strcmp(want, got) == 0 ? 0 : fail_differing(what, want, got, err);
}

int guest_closure(struct console *c, const char *system, struct err *err)
{
	return compare(c, system, "cat $closure", "the closures", SHORT_MS, err);
}

/*
 * Everything about files but their content and the sizes of directories, sorted. In the guest all
 * is root's; a host's store may have kept the group a build gave a file, which no NAR records.
 */
#define LIST(paths) \
	"case $system in /run/*) owner='%U %G' ;; *) owner='0 0' ;; esac; " \
	"find " paths " \\( -type d -printf \"%p %y %m $owner %T@\\n\" \\) -o " \
	"-printf \"%p %y %m $owner %T@ %s %l\\n\" | sort"

int guest_metadata(struct console *c, const char *system, struct err *err)
{
	static const char what[] = "names, types, modes or links";
	struct err at_once = ERR_INIT;
	if (compare(c, system, LIST("$(cat $closure)") " | sha256sum", what, LONG_MS, &at_once) ==
		0)
		return 0;
	/* Path by path is slow, and only wanted for the message. */
	if (compare(c, system,
		    "for path in $(cat $closure); do echo $path $(" LIST("$path") " | cksum); done",
		    what, LONG_MS, err) == 0)
		*err = at_once;
	return -1;
}

int guest_verify(struct console *c, struct err *err)
{
	/* It announces what it does; a damaged path is a line of its own, as is a missing one.
	 * QEMU emulates vector instructions slowly: without them OpenSSL hashes eight times as
	 * much a second (OPENSSL_ia32cap(3)). */
	AUTO_FREE char *bad = NULL;
	if (shell_must(c,
		    "OPENSSL_ia32cap=0:0 nix-store --verify --check-contents 2>&1 >/dev/null | "
		    "grep -v -e '^reading the Nix store' -e '^checking path existence' "
		    "-e '^checking link hashes' -e '^checking store hashes' || :",
		    READ_ALL_MS, &bad, err) < 0)
		return -1;
	return bad[0] == '\0' ? 0 : err_raise(err, ERR_CORRUPT, "Nix finds: %s", bad);
}

int guest_content(struct console *c, const char *system, struct err *err)
{
	if (compare(c, system, "nix-store -q --hash $(cat $closure) | sha256sum",
		    "the hashes in the databases", SHORT_MS, err) < 0)
		return -1;
	return guest_verify(c, err);
}

int guest_builds(struct console *c, struct err *err)
{
	/* In a sandbox there is no /run/current-system; /bin/sh is what nix.conf puts there. */
	static const char build[] =
		"nix-build --no-out-link -E 'derivation { name = \"trivial\"; "
		"system = builtins.currentSystem; builder = \"/bin/sh\"; args = [ \"-c\" "
		"\"test ! -e /run/current-system && echo built here >$out\" ]; }'";
	AUTO_FREE char *setting = NULL, *out = NULL, *text = NULL;
	if (shell_must(c, "nix show-config | grep '^sandbox = '", SHORT_MS, &setting, err) < 0 ||
		shell_must(c, build, LONG_MS, &out, err) < 0)
		return -1;
	if (strcmp(setting, "sandbox = true") != 0)
		return err_raise(err, ERR_IO, "Nix says '%s'", setting);
	const char *path = strrchr(out, '\n') != NULL ? strrchr(out, '\n') + 1 : out;
	AUTO_FREE char *show = path_printf(err, "cat %s", path);
	if (show == NULL || shell_must(c, show, SHORT_MS, &text, err) < 0)
		return -1;
	return strcmp(text, "built here") == 0
		? 0
		: err_raise(err, ERR_IO, "'%s' contains '%s'", path, text);
}

int guest_serves(struct console *c, const char *system, struct err *err)
{
	AUTO_FREE char *address = NULL, *page = NULL;
	if (shell_must(c,
		    "systemctl is-active nginx >/dev/null && "
		    "ip -4 -o addr show scope global | sed -n 's|.* inet \\([0-9.]*\\)/.*|\\1|p'",
		    SHORT_MS, &address, err) < 0)
		return -1;
	/* --noproxy: what the environment says about proxies is not about our network. */
	AUTO_FREE char *get =
		path_printf(err, "curl -sSf --noproxy '*' --max-time 20 http://%s/", address);
	AUTO_FREE char *index = path_printf(err, "%s/etc/site/index.html", system);
	if (get == NULL || index == NULL || lab_run(get, &page, err) < 0)
		return -1;
	AUTO_BUF want = {0};
	if (fd_read_file(AT_FDCWD, index, 65536, &want, err) < 0)
		return -1;
	while (want.len > 0 && want.data[want.len - 1] == '\n')
		want.len--;
	if (want.len != strlen(page) || memcmp(want.data, page, want.len) != 0)
		return err_raise(err, ERR_IO, "nginx at %s answers '%.200s'", address, page);
	return 0;
}

/* The number that a shell command prints. */
static int ask_number(struct console *c, const char *command, long long *ret, struct err *err)
{
	AUTO_FREE char *text = NULL;
	char *end;
	if (shell_must(c, command, SHORT_MS, &text, err) < 0)
		return -1;
	*ret = strtoll(text, &end, 10);
	return end != text && *end == '\0'
		? 0
		: err_raise(err, ERR_IO, "'%s' prints no number: %s", command, text);
}

int guest_memory(struct console *c, struct err *err)
{
	long long image, cached;
	/* Once dropped, the page cache holds what has no other place: tmpfs, ramfs. */
	if (ask_number(c,
		    "echo $(($(blockdev --getsize64 $(findmnt -n -o SOURCE -t squashfs)) / 1024))",
		    &image, err) < 0 ||
		ask_number(c,
			"sync; echo 3 >/proc/sys/vm/drop_caches; "
			"sed -n 's/^Cached: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo",
			&cached, err) < 0)
		return -1;
	if (cached < image || cached > image + TMPFS_SLACK_KIB)
		return err_raise(err, ERR_IO,
			"%lld KiB of tmpfs for an image of %lld KiB (want at most %d KiB more)",
			cached, image, TMPFS_SLACK_KIB);
	printf("            image %lld MiB, in RAM %lld MiB\n", image / 1024, cached / 1024);
	return 0;
}

int guest_stage1_report(struct console *c, const char *system, struct err *err)
{
	AUTO_FREE char *text = NULL;
	if (shell_must(c, "cat /run/snowboot/boot.json", SHORT_MS, &text, err) < 0)
		return -1;
	json_t *report = json_loads(text, 0, NULL);
	const char *its_system = NULL;
	long long begin = 0, end = 0;
	json_t *steps = NULL;
	bool ok = json_unpack(report, "{s:s, s:o}", "system", &its_system, "steps", &steps) == 0 &&
		strcmp(its_system, system) == 0 && json_array_size(steps) > 0 &&
		json_unpack(json_array_get(steps, 0), "{s:I}", "begin_us", &begin) == 0 &&
		json_unpack(json_array_get(steps, json_array_size(steps) - 1), "{s:I}", "end_us",
			&end) == 0 &&
		begin < end;
	json_decref(report);
	if (!ok)
		return err_raise(err, ERR_CORRUPT, "stage 1's report is '%s'", text);
	printf("            stage 1 took %.2f s\n", (double)(end - begin) / 1e6);
	return 0;
}
