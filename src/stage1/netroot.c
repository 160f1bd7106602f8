/* SPDX-License-Identifier: MIT */
/*
 * Stage 1's part in a network root: it decides nothing about networks, manifests or chunks. It says
 * what the machine is (command line, firmware, disk), starts those who know, and waits.
 */
#include "stage1/netroot.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "stage1/cache_disk.h"
#include "stage1/console.h"
#include "stage1/keep_network.h"
#include "stage1/mounts.h"
#include "stage1/netconf.h"
#include "stage1/sysfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#define SHOW_US 1000000 /* between two lines on a console */
#define TURN_MS 500
#define COPY_BLOCK ((size_t)1 << 20)
#define COPY_CACHE ((uint64_t)32 << 20) /* bytes */
#define COPY_DIR "/snowboot/ram"
#define COPY_FILE COPY_DIR "/image.squashfs"
/* Of the device. One read of squashfs is one block of at most 128 KiB and is answered as such;
 * copying goes over everything, and several requests at a time hide the way to the origin. */
#define COPY_AHEAD_KIB "4096"

bool netroot_is_wanted(void)
{
	return sysfile_exists(NETCONF_FILE);
}

bool netroot_wants_copy(const struct cmdline *cmdline)
{
	const char *root = cmdline_get(cmdline, "snowboot.root");
	return root != NULL && strcmp(root, "ram") == 0;
}

void netroot_load_network(const struct cmdline *cmdline, struct modules *modules)
{
	static const char *const helpful[] = {"af_packet", "ipv6", "macvlan", "8021q"};
	size_t count = ARRAY_LEN(helpful) - (cmdline_get(cmdline, "snowboot.vlan") == NULL);
	for (size_t i = 0; i < count; i++) {
		struct err missing = ERR_INIT;
		if (modules_load(modules, helpful[i], &missing) < 0)
			log_debug("%s, going on", missing.msg);
	}
}

/* The first cannot be done without; which of the others are needed shows later. */
static int load_modules(const struct netroot_env *env, struct err *err)
{
	if (modules_load(env->modules, "nbd", err) < 0)
		return -1;
	netroot_load_network(env->cmdline, env->modules);
	if (cmdline_get(env->cmdline, "snowboot.vlan") == NULL)
		return 0;
	return modules_load(env->modules, "8021q", err);
}

static int read_config(const struct netroot_env *env, struct netconf *ret, struct err *err)
{
	AUTO_BUF text = {0};
	AUTO_NETCONF conf = {0};
	if (fd_read_file(AT_FDCWD, NETCONF_FILE, NETCONF_MAX, &text, err) < 0)
		return -1;
	if (node_config_decode((const char *)text.data, text.len, &conf.node, err) < 0)
		return err_prefix(err, "'%s'", NETCONF_FILE);
	if (netconf_apply(&conf, env->cmdline, err) < 0 ||
		cache_disk_find(env->cmdline, env->hardware, &conf.node.cache, err) < 0)
		return -1;
	/* Each chunk is needed once, and the memory for the copy. */
	if (netroot_wants_copy(env->cmdline) && !conf.node.complete)
		conf.node.cache.memory_max = COPY_CACHE;
	*ret = conf;
	conf = (struct netconf){0};
	return 0;
}

/* The configuration as a file that outlives the initramfs. */
static int make_config(const struct netconf *conf, int *ret_fd, struct err *err)
{
	AUTO_BUF text = {0};
	AUTO_FD int fd = memfd_create("node.conf", MFD_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "cannot keep the node's configuration");
	if (netconf_encode(conf, &text, err) < 0 ||
		fd_write_full(fd, text.data, text.len, "the node's configuration", err) < 0)
		return -1;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* A line at most every second, the newest; on consoles, since the log's level may hide it. */
struct screen {
	struct consoles consoles;
	uint64_t shown_us;
	char shown[160], latest[160];
};

static void show(struct screen *screen)
{
	uint64_t now = timeline_now_us();
	if (strcmp(screen->shown, screen->latest) == 0 || now - screen->shown_us < SHOW_US)
		return;
	memcpy(screen->shown, screen->latest, sizeof(screen->shown));
	screen->shown_us = now;
	consoles_print(&screen->consoles, "snowboot: %s\r\n", screen->shown);
}

/* "IP/LEN ROUTER MODE LINK INTERFACE" of node_program.c. */
static void take_address(struct netroot *netroot, const char *text, struct screen *screen)
{
	char address[64], mode[8], link[IFNAMSIZ];
	if (sscanf(text, "%63s %*s %7s %15s", address, mode, link) != 3)
		return;
	netroot->mode = strcmp(mode, "own") == 0 ? NET_OWN : NET_SHARED;
	memcpy(netroot->link, link, sizeof(link));
	snprintf(screen->latest, sizeof(screen->latest), "address %s on %s, %s", address, link,
		netroot->mode == NET_OWN ? "the node's own" : "shared with the system");
}

/* One word of the supervisor: 1 when the device is there. */
static int take_event(const struct netroot_env *env, struct netroot *netroot, struct screen *screen,
	const struct supervisor_event *event, struct err *err)
{
	switch (event->kind) {
	case SUPERVISOR_PROGRESS:
		snprintf(screen->latest, sizeof(screen->latest), "%.150s", event->text);
		return 0;
	case SUPERVISOR_ADDRESS:
		timeline_begin(env->timeline, "manifest");
		take_address(netroot, event->text, screen);
		screen->shown_us = 0; /* worth a line of its own */
		show(screen);
		return 0;
	case SUPERVISOR_FAILED:
		*err = event->failure;
		return err_prefix(err, "cannot get the root over the network");
	case SUPERVISOR_ATTACHED:
		return 1;
	}
	return 0;
}

static int wait_for_device(const struct netroot_env *env, struct netroot *netroot, struct err *err)
{
	struct screen screen = {0};
	struct supervisor_event event;
	consoles_open(&screen.consoles, env->cmdline);
	int r = 0;
	while (r == 0) {
		r = supervisor_next(&netroot->supervisor, TURN_MS, &event, err);
		if (r > 0)
			r = take_event(env, netroot, &screen, &event, err);
		show(&screen);
	}
	consoles_close(&screen.consoles);
	return r < 0 ? -1 : 0;
}

int netroot_attach(const struct netroot_env *env, struct netroot *ret, struct err *err)
{
	AUTO_NETCONF conf = {0};
	AUTO_FD int config = -1;
	timeline_begin(env->timeline, "prepare");
	if (load_modules(env, err) < 0 || read_config(env, &conf, err) < 0 ||
		machine_id_find("/sys", env->cmdline, conf.net.first_mac, ret->machine_id, err) < 0)
		return -1;
	memcpy(conf.node.machine_id, ret->machine_id, sizeof(conf.node.machine_id));
	if (make_config(&conf, &config, err) < 0)
		return -1;
	ret->keep_node = conf.node.complete;
	/* Of an attempt that failed: it would be taken for that of a node that died. */
	(void)unlink("/run/snowboot/manifest");
	timeline_begin(env->timeline, "network");
	if (supervisor_start(config, &ret->supervisor, err) < 0)
		return -1;
	if (wait_for_device(env, ret, err) == 0)
		return 0;
	netroot_stop(ret);
	return -1;
}

static int copy_blocks(int in, int out, uint64_t size, struct screen *screen, struct err *err)
{
	AUTO_FREE uint8_t *block = malloc(COPY_BLOCK);
	if (block == NULL)
		return err_oom(err);
	for (uint64_t off = 0; off < size; off += COPY_BLOCK) {
		size_t want = size - off < COPY_BLOCK ? (size_t)(size - off) : COPY_BLOCK, len;
		if (fd_pread_full(in, block, want, off, SUPERVISOR_DEVICE, &len, err) < 0)
			return -1;
		if (len != want)
			return err_raise(err, ERR_CORRUPT,
				"'%s' ends after %" PRIu64 " of %" PRIu64 " bytes",
				SUPERVISOR_DEVICE, off + len, size);
		if (fd_write_full(out, block, want, COPY_FILE, err) < 0)
			return -1;
		/* It is in the file now; twice would be once too often. */
		(void)posix_fadvise(in, (off_t)off, (off_t)want, POSIX_FADV_DONTNEED);
		snprintf(screen->latest, sizeof(screen->latest),
			"image: %" PRIu64 " of %" PRIu64 " MiB", (off + want) >> 20, size >> 20);
		show(screen);
	}
	return 0;
}

static int copy_image(const struct netroot_env *env, uint64_t size, struct err *err)
{
	AUTO_FREE char *options = path_printf(err, "mode=700,size=%" PRIu64, size + COPY_BLOCK);
	if (options == NULL || sysfile_mkdir(COPY_DIR, 0700, err) < 0)
		return -1;
	(void)umount2(COPY_DIR, MNT_DETACH); /* of an attempt that failed */
	const struct mount_spec spec = {
		"tmpfs", COPY_DIR, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options};
	AUTO_FD int in = -1, out = -1;
	if (mounts_mount(&spec, err) < 0 ||
		fd_open(AT_FDCWD, SUPERVISOR_DEVICE, O_RDONLY, &in, err) < 0 ||
		fd_open(AT_FDCWD, COPY_FILE, O_WRONLY | O_CREAT | O_TRUNC, &out, err) < 0)
		return -1;
	struct screen screen = {0};
	consoles_open(&screen.consoles, env->cmdline);
	int r = copy_blocks(in, out, size, &screen, err);
	consoles_close(&screen.consoles);
	return r;
}

int netroot_copy(const struct netroot_env *env, struct netroot *netroot, uint64_t size,
	char **ret_file, struct err *err)
{
	struct err slow = ERR_INIT;
	timeline_begin(env->timeline, "copy");
	if (sysfile_write("/sys/block/nbd0/queue/read_ahead_kb", COPY_AHEAD_KIB, &slow) < 0)
		log_ignored(&slow);
	if (copy_image(env, size, err) < 0) {
		(void)umount2(COPY_DIR, MNT_DETACH); /* perhaps it was not mounted */
		return err_prefix(err, "cannot copy the image into memory");
	}
	if (!netroot->keep_node)
		netroot_stop(netroot);
	*ret_file = path_printf(err, "%s", COPY_FILE);
	return *ret_file != NULL ? 0 : -1;
}

bool netroot_runs(const struct netroot *netroot)
{
	return netroot->supervisor.pid > 0;
}

void netroot_stop(struct netroot *netroot)
{
	supervisor_stop(&netroot->supervisor);
}

void netroot_prepare_system(
	const struct netroot *netroot, const char *root, const struct plan *plan)
{
	struct err err = ERR_INIT;
	if (machine_id_write(root, netroot->machine_id, &err) < 0)
		log_ignored(&err);
	const struct keep_network keep = {.run = "/run",
		.sys = "/sys",
		.root = root,
		.system = plan->system,
		.link = netroot->link,
		.machine_id = netroot->machine_id};
	if (netroot->mode == NET_SHARED && keep_network(&keep, &err) < 0)
		log_ignored(&err);
}

void netroot_finish_system(const struct netroot *netroot, const char *root)
{
	struct err err = ERR_INIT;
	if (machine_id_write(root, netroot->machine_id, &err) < 0)
		log_ignored(&err);
}
