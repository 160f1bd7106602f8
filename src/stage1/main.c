/* SPDX-License-Identifier: MIT */
/*
 * Stage 1: PID 1 of the initramfs. boot() reads as what happens, from the kernel's start to the
 * system's own init; docs/internals/stage1.md tells it with the reasons. It never exits: whatever
 * fails ends in rescue(), and from there in another attempt.
 */
#include "base/fd.h"
#include "base/log.h"
#include "base/outfile.h"
#include "base/path.h"
#include "plan/plan.h"
#include "stage1/bootend.h"
#include "stage1/check.h"
#include "stage1/cmdline.h"
#include "stage1/failure.h"
#include "stage1/handover.h"
#include "stage1/hardware.h"
#include "stage1/init.h"
#include "stage1/kmsg.h"
#include "stage1/modprobe.h"
#include "stage1/modules.h"
#include "stage1/mounts.h"
#include "stage1/netroot.h"
#include "stage1/node_program.h"
#include "stage1/reporter.h"
#include "stage1/rescue.h"
#include "stage1/root.h"
#include "stage1/swap.h"
#include "stage1/sysfile.h"
#include "stage1/tables.h"
#include "stage1/timeline.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define PLAN_FILE "/snowboot/plan"
#define PLAN_MAX ((size_t)64 << 20) /* bytes */
#define NBD_ALONE "nbd.nbds_max=1"  /* of sixteen devices fifteen would appear for nothing */
#define JOIN_MS 2000                /* for the driver that is being loaded at the hand-over */
#define SETTLE_MS 10000             /* for `auto` swap: drivers of the first walk */
#define SWAP_MS 10000               /* for named swap, unless snowboot.swap_timeout= */

struct boot {
	char **args; /* the kernel's words for init */
	struct cmdline cmdline;
	struct plan plan;
	struct modules modules;
	struct hardware hardware;
	struct timeline timeline;
	bool has_netroot; /* the image comes over the network */
	struct netroot netroot;
	pid_t reporter; /* 0: none */
	char *image; /* when it is not where the plan says: a copy in memory, or its tables are */
};

/* /dev/console may be missing or closed when we start; nothing must land on fd 0 to 2 by accident.
 */
static void open_stdio(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY);
	if (fd < 0)
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= 2) {
		int next = dup(fd);
		if (next > 2)
			close(next);
		if (next < 0 || next > 2)
			return;
		fd = next;
	}
	if (fd > 2)
		close(fd);
}

static void warn_of_unknown_parameters(const struct cmdline *cmdline)
{
	static const char *const known[] = {"snowboot.cache", "snowboot.check", "snowboot.complete",
		"snowboot.etc", "snowboot.net", "snowboot.origin", "snowboot.peers",
		"snowboot.root", "snowboot.root_size", "snowboot.site", "snowboot.swap",
		"snowboot.swap_timeout", "snowboot.vlan"};
	for (size_t i = 0; i < cmdline->words.len; i++) {
		const char *word = cmdline->words.items[i];
		bool ours = strncmp(word, "snowboot.", 9) == 0, found = false;
		for (size_t k = 0; k < ARRAY_LEN(known); k++)
			found |= cmdline_value(word, known[k]) != NULL;
		if (ours && !found)
			log_warning("unknown parameter '%s', ignoring", word);
	}
}

static int read_cmdline(struct boot *boot, struct err *err)
{
	AUTO_FREE char *text = NULL;
	if (fd_read_line_file(AT_FDCWD, "/proc/cmdline", &text, err) < 0)
		return -1;
	cmdline_done(&boot->cmdline);
	if (cmdline_parse(text, &boot->cmdline, err) < 0)
		return -1;
	warn_of_unknown_parameters(&boot->cmdline);
	static const char *const params[] = {NBD_ALONE, TABLES_DISK_COUNT, TABLES_DISK_SIZE};
	for (size_t i = 0; i < ARRAY_LEN(params); i++)
		if (strvec_push(&boot->cmdline.words, params[i], err) < 0)
			return -1;
	return 0;
}

static int read_plan(struct boot *boot, const char *path, struct err *err)
{
	ERR_SCOPE(err, "cannot read the hand-over plan '%s'", path);
	AUTO_BUF text = {0};
	if (fd_read_file(AT_FDCWD, path, PLAN_MAX, &text, err) < 0)
		return -1;
	plan_done(&boot->plan);
	return plan_decode((const char *)text.data, text.len, &boot->plan, err);
}

static int read_modules(struct boot *boot, struct err *err)
{
	struct utsname kernel;
	uname(&kernel);
	modules_done(&boot->modules);
	if (modules_read("", kernel.release, &boot->cmdline, &boot->modules, err) < 0)
		return err_prefix(err, "cannot read the lists of modules");
	return 0;
}

static int check(struct boot *boot, struct err *err)
{
	enum check_level level;
	timeline_begin(&boot->timeline, "check");
	if (check_level_parse(cmdline_get(&boot->cmdline, "snowboot.check"), &level, err) < 0)
		return -1;
	return check_image(&boot->plan, boot->plan.image, level, err);
}

/* Over the network: a device that can be read, the plan, and for --root ram a copy in memory. */
static int get_image(struct boot *boot, struct err *err)
{
	const struct netroot_env env = {.cmdline = &boot->cmdline,
		.modules = &boot->modules,
		.hardware = &boot->hardware,
		.timeline = &boot->timeline};
	const char *root = cmdline_get(&boot->cmdline, "snowboot.root");
	if (root != NULL && strcmp(root, "ram") != 0 && strcmp(root, "net") != 0)
		return err_raise(err, ERR_USAGE, "snowboot.root takes net or ram, not '%s'", root);
	boot->netroot = NETROOT_INIT;
	if (netroot_attach(&env, &boot->netroot, err) < 0 || read_plan(boot, NETROOT_PLAN, err) < 0)
		return -1;
	if (netroot_wants_copy(&boot->cmdline))
		return netroot_copy(&env, &boot->netroot, boot->plan.image_size, &boot->image, err);
	struct err slow = ERR_INIT;
	timeline_begin(&boot->timeline, "tables");
	if (tables_hold(boot->plan.image, &boot->modules, &boot->image, &slow) < 0)
		log_ignored(&slow);
	return 0;
}

/* Swap is a help and no need: whatever is wrong with it is said, and the boot goes on. */
static void enable_swap(struct boot *boot)
{
	const char *text = cmdline_get(&boot->cmdline, "snowboot.swap");
	const char *timeout = cmdline_get(&boot->cmdline, "snowboot.swap_timeout");
	if (text == NULL)
		return;
	timeline_begin(&boot->timeline, "swap");
	AUTO(swap_list_done) struct swap_list list = {0};
	struct err err = ERR_INIT;
	if (swap_list_parse(text, &list, &err) < 0) {
		log_ignored(&err);
		return;
	}
	long seconds = timeout != NULL ? strtol(timeout, NULL, 10) : -1;
	VEC_FOREACH(item, &list.items) {
		if (item->kind != SWAP_AUTO)
			continue;
		hardware_settle(&boot->hardware, SETTLE_MS);
		break;
	}
	swap_enable(&list, seconds >= 0 && seconds < 3600 ? (int)seconds * 1000 : SWAP_MS,
		&boot->modules);
}

/* The node or, without one, a process of its own shall know when the system is up; and the system
 * comes up also when they never do. */
static void watch_for_end(struct boot *boot)
{
	struct err err = ERR_INIT;
	if (!netroot_runs(&boot->netroot) &&
		reporter_start(&boot->cmdline, "/run", &boot->reporter, &err) < 0)
		log_ignored(&err);
	if (bootend_prepare("/run", &err) < 0)
		log_ignored(&err);
}

/* For whoever wants to know later; a boot does not fail for it. */
static void write_timeline(const struct boot *boot)
{
	struct err err = ERR_INIT;
	AUTO_BUF json = {0};
	if (timeline_json(&boot->timeline, system_kind_name(boot->plan.kind), boot->plan.system,
		    &json, &err) < 0 ||
		outfile_write("/run/snowboot/boot.json", json.data, json.len, &err) < 0)
		log_ignored(&err);
}

/* Who watches the machine boot knows less without it. */
static void tell_stage2(void)
{
	struct err err = ERR_INIT;
	if (bootend_tell("/run", &err) < 0)
		log_ignored(&err);
}

static int hand_over(struct boot *boot, struct err *err)
{
	AUTO(init_done) struct init init = {0};
	if (init_find(&boot->plan, &boot->cmdline, ROOT, &init, err) < 0)
		return -1;
	const char *etc = cmdline_get(&boot->cmdline, "snowboot.etc");
	if (boot->has_netroot)
		netroot_prepare_system(&boot->netroot, ROOT, &boot->plan);
	const struct handover handover = {
		.plan = &boot->plan,
		.init = &init,
		.modules = &boot->modules,
		.etc_writable = etc == NULL || strcmp(etc, "ro") != 0,
		.args = boot->args,
	};
	AUTO_FREE char *program = NULL;
	timeline_begin(&boot->timeline, "activate");
	if (handover_prepare(&handover, &program, err) < 0)
		return -1;
	if (boot->has_netroot)
		netroot_finish_system(&boot->netroot, ROOT);
	watch_for_end(boot);
	timeline_begin(&boot->timeline, "drivers");
	hardware_join(&boot->hardware, JOIN_MS);
	timeline_begin(&boot->timeline, NULL);
	log_info("handing over to '%s' at %llu.%03llu ms", program,
		(unsigned long long)(timeline_now_us() / 1000),
		(unsigned long long)(timeline_now_us() % 1000));
	write_timeline(boot);
	tell_stage2();
	return handover_exec(&handover, program, err);
}

/* One attempt. Returns only when something failed. */
static int boot(struct boot *boot, struct err *err)
{
	struct timeline *timeline = &boot->timeline;
	timeline_begin(timeline, "read");
	if (read_cmdline(boot, err) < 0 || read_modules(boot, err) < 0)
		return -1;
	boot->has_netroot = netroot_is_wanted();
	if (!boot->has_netroot && read_plan(boot, PLAN_FILE, err) < 0)
		return -1;
	if (hardware_start(&boot->hardware, &boot->modules, err) < 0)
		return -1;
	if ((boot->has_netroot ? get_image(boot, err) : check(boot, err)) < 0)
		return -1;
	enable_swap(boot);
	hardware_stop(&boot->hardware);
	timeline_begin(timeline, "root");
	const char *size = cmdline_get(&boot->cmdline, "snowboot.root_size");
	const char *image = boot->image != NULL ? boot->image : boot->plan.image;
	if (root_mount(image, size, &boot->modules, err) < 0)
		return -1;
	tables_release();
	if (root_populate(&boot->plan, err) < 0)
		return -1;
	return hand_over(boot, err);
}

/* After a failure: nothing of the attempt is left but drivers, which a rescuer may need. */
static void clean_up(struct boot *boot)
{
	root_unmount();
	tables_release();
	reporter_stop(boot->reporter);
	boot->reporter = 0;
	netroot_stop(&boot->netroot);
	free(TAKE_PTR(boot->image));
	(void)umount2("/run/nixos-etc-metadata", MNT_DETACH); /* often not mounted */
	hardware_stop(&boot->hardware);
	hardware_join(&boot->hardware, JOIN_MS);
	/* Keyboards and screens for the prompt: this time it runs until the next attempt. */
	struct err err = ERR_INIT;
	if (hardware_start(&boot->hardware, &boot->modules, &err) < 0)
		log_ignored(&err);
}

/* Shows what went wrong, and tells the server; back when there is to be another attempt. */
static void fail(struct boot *boot, const struct err *cause)
{
	struct err err = ERR_INIT;
	pid_t pid = 0;
	if (failure_start(cause, &boot->cmdline, &boot->modules, &pid, &err) < 0)
		log_ignored(&err);
	if (pid > 0 && rescue_crashes(&boot->cmdline)) {
		log_error("the boot failed, telling the server before the crash: %s", cause->msg);
		failure_wait(&pid);
	}
	rescue(cause, &boot->cmdline, &boot->modules);
	failure_stop(&pid);
}

int main(int argc, char **argv)
{
	if (strcmp(path_basename(argv[0]), "modprobe") == 0)
		return modprobe_main(argc, argv);
	if (strcmp(argv[0], SUPERVISOR_NAME) == 0)
		return supervisor_main();
	if (strcmp(argv[0], NODE_NAME) == 0)
		return node_program_main();
	if (strcmp(argv[0], REPORTER_NAME) == 0)
		return reporter_main();
	if (strcmp(argv[0], FAILURE_NAME) == 0)
		return failure_main();
	if (getpid() != 1) {
		fprintf(stderr, "stage1: this is PID 1 of an initramfs, not a program to run\n");
		return 2;
	}
	umask(0022);
	struct boot state = {.args = argv + 1, .hardware = HARDWARE_INIT, .netroot = NETROOT_INIT};
	struct err err = ERR_INIT;
	int mounted = mounts_kernel(&err);
	open_stdio();
	log_setup(LOG_LEVEL_INFO, kmsg_sink, NULL);
	for (;;) {
		timeline_restart(&state.timeline);
		if (mounted == 0)
			(void)boot(&state, &err); /* always fails, or is never back */
		clean_up(&state);
		fail(&state, &err);
		err_reset(&err);
		if (mounted < 0)
			mounted = mounts_kernel(&err);
		hardware_stop(&state.hardware);
		hardware_join(&state.hardware, JOIN_MS);
	}
}
