/* SPDX-License-Identifier: MIT */
/* Network namespace, bridge, server, machine; and nothing about what is checked in them. */
#include "lab.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/path.h"
#include "vm/child.h"
#include "vm/deadline.h"
#include "vm/tap.h"

#include "test.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Filling a cold pool with a fixture, and an initramfs, take about two minutes on two slow cores.
 */
#define SERVE_TIMEOUT_MS 600000
#define COMMAND_TIMEOUT_MS 120000

int lab_run(const char *command, char **ret_output, struct err *err)
{
	AUTO_STRVEC argv = {0};
	AUTO_CHILD child = NULL;
	int status;
	if (strvec_push(&argv, "sh", err) < 0 || strvec_push(&argv, "-c", err) < 0 ||
		strvec_push(&argv, command, err) < 0 ||
		child_start(&argv, NULL, 0, &child, err) < 0)
		return -1;
	int r = child_wait(child, COMMAND_TIMEOUT_MS, &status, err);
	if (r < 0)
		return -1;
	if (r == 1)
		return err_raise(err, ERR_AGAIN, "'%s' does not end", command);
	AUTO_FREE char *output = NULL;
	if (child_output(child, (size_t)16 << 20, &output, err) < 0)
		return -1;
	if (status != 0)
		return err_raise(err, ERR_IO, "'%s' failed: %s", command, output);
	*ret_output = TAKE_PTR(output);
	return 0;
}

/* QEMU's emulator has all cores for itself: tests that are timed must not share them. */
static int take_turn(struct lab *lab, struct err *err)
{
	if (lab->turn_fd >= 0)
		return 0;
	AUTO_FD int fd = open("/tmp/snowboot-qemu.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return err_sys(err, "cannot open '/tmp/snowboot-qemu.lock'");
	if (flock(fd, LOCK_EX) < 0)
		return err_sys(err, "cannot lock '/tmp/snowboot-qemu.lock'");
	lab->turn_fd = TAKE_FD(fd);
	lab->step_begun = deadline_now_ms();
	return 0;
}

static int make_network(struct err *err)
{
	AUTO_FREE char *ignored = NULL;
	/* With an address that it is told, or it takes one of each port that joins, and what others
	 * know is wrong. */
	return lab_run("ip link set lo up && "
		       "ip link add " LAB_BRIDGE " address 52:54:00:5b:ff:01 type bridge && "
		       "ip addr add " LAB_HOST "/24 dev " LAB_BRIDGE " && "
		       "ip link set " LAB_BRIDGE " up",
		&ignored, err);
}

static int make_dir(struct lab *lab, const char *name, struct err *err)
{
	const char *build = getenv("SNOWBOOT_BUILD");
	build = build != NULL ? build : "build";
	lab->dir = path_printf(err, "%s/boot-logs/%s", build, name);
	/* One pool for all tests, and not the user's. */
	AUTO_FREE char *pool = path_printf(err, "%s/boot-pool", build);
	if (lab->dir == NULL || pool == NULL || path_mkdirs(lab->dir, err) < 0)
		return -1;
	if (setenv("SNOWBOOT_POOL", pool, 0) < 0)
		return err_sys(err, "cannot set SNOWBOOT_POOL");
	lab->transcript = path_printf(err, "%s/console", lab->dir);
	if (lab->transcript == NULL)
		return -1;
	unlink(lab->transcript);
	return 0;
}

int lab_open(struct lab *lab, const char *name, struct err *err)
{
	*lab = (struct lab){.tap_fd = -1, .turn_fd = -1};
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (access("/dev/net/tun", R_OK | W_OK) < 0)
		test_skip("needs /dev/net/tun");
	if (unshare(CLONE_NEWNET) < 0)
		test_skip("needs to create a network namespace");
	if (make_dir(lab, name, err) < 0 || make_network(err) < 0)
		return -1;
	lab->step_begun = deadline_now_ms();
	return 0;
}

void lab_done(struct lab *lab)
{
	vm_free(lab->vm);
	struct err err = ERR_INIT;
	AUTO_FREE char *path = lab->dir != NULL ? path_printf(&err, "%s/server", lab->dir) : NULL;
	AUTO_FREE char *log = lab->server != NULL ? lab_server_log(lab, &err) : NULL;
	FILE *file = path != NULL && log != NULL ? fopen(path, "w") : NULL;
	if (file != NULL) {
		fprintf(file, "%s\n", log);
		fclose(file);
	}
	/* In order, so that its own children go too. */
	if (lab->server != NULL && lab_stop_server(lab, &err) < 0)
		child_free(lab->server);
	child_free(lab->web);
	fd_close_ptr(&lab->tap_fd);
	fd_close_ptr(&lab->turn_fd);
	free(lab->dir);
	free(lab->transcript);
}

char *lab_fixture(const char *name)
{
	const char *dir = getenv("SNOWBOOT_FIXTURES");
	struct err err = ERR_INIT;
	AUTO_FREE char *link =
		path_printf(&err, "%s/%s", dir != NULL ? dir : "/var/lib/snowboot/fixtures", name);
	char *system = link != NULL ? realpath(link, NULL) : NULL;
	if (system == NULL)
		test_skip("needs the fixtures: run fixtures/build");
	return system;
}

char *lab_server_log(const struct lab *lab, struct err *err)
{
	char *log;
	return child_output(lab->server, (size_t)4 << 20, &log, err) < 0 ? NULL : log;
}

int lab_serve_words(struct lab *lab, const struct strvec *words, struct err *err)
{
	const char *program = getenv("SNOWBOOT");
	const char *const fixed[] = {program != NULL ? program : "build/src/cli/snowboot", "serve",
		"--dhcp", "full", "--interface", LAB_BRIDGE};
	/* The shell becomes the server, so that signals reach it. */
	static const char *const hidden[] = {
		"unshare", "-m", "sh", "-c", "mount -t tmpfs none /nix && exec \"$@\"", "sh"};
	AUTO_STRVEC argv = {0};
	for (size_t i = 0; i < ARRAY_LEN(hidden) && lab->hides_store; i++)
		if (strvec_push(&argv, hidden[i], err) < 0)
			return -1;
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		if (strvec_push(&argv, fixed[i], err) < 0)
			return -1;
	for (size_t i = 0; i < words->len; i++)
		if (strvec_push(&argv, words->items[i], err) < 0)
			return -1;
	if (child_start(&argv, NULL, 0, &lab->server, err) < 0)
		return -1;
	uint64_t deadline = deadline_in(SERVE_TIMEOUT_MS);
	for (;;) {
		int status;
		int r = child_wait(lab->server, 100, &status, err);
		AUTO_FREE char *log = lab_server_log(lab, err);
		if (r < 0 || log == NULL)
			return -1;
		if (r == 0)
			return err_raise(err, ERR_IO, "the server ended: %s", log);
		if (strstr(log, "cannot prepare ") != NULL)
			return err_raise(err, ERR_IO, "the server prepares nothing: %s", log);
		if (strstr(log, "serving at ") != NULL && strstr(log, "ready: ") != NULL)
			return 0;
		if (deadline_left_ms(deadline) == 0)
			return err_raise(err, ERR_AGAIN, "the server is not ready: %s", log);
	}
}

int lab_serve(struct lab *lab, const char *system, struct err *err)
{
	AUTO_STRVEC words = {0};
	if (strvec_push(&words, system, err) < 0 || strvec_push(&words, "--root", err) < 0 ||
		strvec_push(&words, "ram", err) < 0)
		return -1;
	return lab_serve_words(lab, &words, err);
}

int lab_memory_needed(const struct lab *lab, unsigned *ret_mib, struct err *err)
{
	AUTO_FREE char *log = lab_server_log(lab, err);
	if (log == NULL)
		return -1;
	const char *words = strstr(log, "' needs ");
	if (words == NULL || sscanf(words, "' needs %u MiB of RAM", ret_mib) != 1)
		return err_raise(err, ERR_NOT_FOUND, "the server names no memory: %s", log);
	return 0;
}

int lab_kill_server(struct lab *lab, struct err *err)
{
	/* Its dnsmasq goes with it (PR_SET_PDEATHSIG); the port of DHCP is free when it has. */
	AUTO_FREE char *ignored = NULL;
	if (child_signal(lab->server, SIGKILL, err) < 0)
		return -1;
	child_free_ptr(&lab->server);
	return lab_run("for i in $(seq 100); do ss -Hlun sport = :67 | grep -q . || exit 0; "
		       "sleep 0.1; done; exit 1",
		&ignored, err);
}

int lab_stop_server(struct lab *lab, struct err *err)
{
	int status;
	if (child_signal(lab->server, SIGTERM, err) < 0)
		return -1;
	int r = child_wait(lab->server, 20000, &status, err);
	if (r < 0)
		return -1;
	if (r == 1)
		return err_raise(err, ERR_AGAIN, "the server does not end");
	AUTO_FREE char *log = lab_server_log(lab, err);
	child_free_ptr(&lab->server);
	if (log == NULL)
		return -1;
	return status == 0 ? 0 : err_raise(err, ERR_IO, "the server failed at its end: %s", log);
}

static int start(struct lab *lab, const struct machine *m, const char *transcript, int *ret_tap,
	struct vm **ret, struct err *err)
{
	AUTO_FREE char *name = NULL;
	AUTO_FD int tap = -1;
	struct machine machine = *m;
	if (take_turn(lab, err) < 0 || tap_open("vm%d", &tap, &name, err) < 0 ||
		tap_join_bridge(name, LAB_BRIDGE, err) < 0)
		return -1;
	machine.nics[0].kind = NIC_TAP;
	machine.nics[0].tap_fd = tap;
	machine.no_reboot = true;
	if (vm_start(&machine, transcript, ret, err) < 0)
		return -1;
	*ret_tap = TAKE_FD(tap);
	return console_forbid(vm_console(*ret),
		"Kernel panic|snowboot: the boot failed|No bootable device|No more network devices|"
		"X64 Exception Type",
		err);
}

int lab_start(struct lab *lab, const struct machine *m, struct err *err)
{
	return start(lab, m, lab->transcript, &lab->tap_fd, &lab->vm, err);
}

int lab_client_start(struct lab *lab, const char *name, const struct machine *m,
	struct lab_client *ret, struct err *err)
{
	*ret = LAB_CLIENT_INIT;
	ret->transcript = path_printf(err, "%s/console-%s", lab->dir, name);
	if (ret->transcript == NULL)
		return -1;
	unlink(ret->transcript);
	return start(lab, m, ret->transcript, &ret->tap_fd, &ret->vm, err);
}

void lab_client_done(struct lab_client *client)
{
	vm_free(client->vm);
	fd_close_ptr(&client->tap_fd);
	free(client->transcript);
	*client = LAB_CLIENT_INIT;
}

struct console *lab_console(struct lab *lab)
{
	return vm_console(lab->vm);
}

void lab_step(struct lab *lab, const char *fmt, ...)
{
	uint64_t now = deadline_now_ms();
	va_list ap;
	va_start(ap, fmt);
	printf("%7.1f s  ", (double)(now - lab->step_begun) / 1000);
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
	lab->step_begun = now;
}

static int run_case(const char *program, const struct lab_case *test)
{
	struct err err = ERR_INIT;
	AUTO_LAB lab = {.tap_fd = -1, .turn_fd = -1};
	AUTO_FREE char *name = path_printf(&err, "%s-%s", program, test->name);
	if (name == NULL || lab_open(&lab, name, &err) < 0 || test->run(&lab, &err) < 0) {
		fprintf(stderr, "FAILED: %s\n", err.msg);
		printf("logs are in %s\n", lab.dir != NULL ? lab.dir : "nowhere");
		return 1;
	}
	return 0;
}

int lab_main(const char *program, const struct lab_case *cases, size_t len, int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < len; i++)
		if (strcmp(cases[i].name, argv[1]) == 0)
			return run_case(program, &cases[i]);
	fprintf(stderr, "usage: %s CASE, where CASE is one of:", program);
	for (size_t i = 0; i < len; i++)
		fprintf(stderr, " %s", cases[i].name);
	fprintf(stderr, "\n");
	return 2;
}
