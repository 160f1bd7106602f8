/* SPDX-License-Identifier: MIT */
/*
 * A static program for guests of the test `nbd`: as PID 1 it attaches /dev/nbd0 by the real
 * supervisor and hands over to the system that lies on it; as the node it serves the image by
 * simple means, late and out of order; as `reader` it reads the device and says what it saw.
 */
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "nbd/server.h"
#include "stage1/control.h"
#include "stage1/guard.h"
#include "stage1/handover.h"
#include "stage1/kmsg.h"
#include "stage1/modprobe.h"
#include "stage1/modules.h"
#include "stage1/mounts.h"
#include "stage1/supervisor.h"
#include "stage1/sysfile.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SYSTEM_INIT "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos-system-guest/init"
#define BLOCK ((size_t)64 << 10)
#define READERS 4
#define LATE_MS 20           /* longest delay of an answer */
#define ENOUGH "/tmp/enough" /* the readers end when it is there */

static int64_t now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* xorshift: the same in every run. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

struct node {
	struct event_base *base;
	struct nbd_export export;
	uint64_t random;
	struct {
		struct nbd_read *read;
		int64_t due_us;
	} waiting[256];
	size_t count;
};

static void on_read(struct nbd_read *read, uint64_t off, uint32_t len, void *data)
{
	struct node *node = data;
	ssize_t n = pread(SUPERVISOR_CONFIG_FD, nbd_read_buffer(read), len, (off_t)off);
	if (n != (ssize_t)len) {
		nbd_read_answer(read, EIO);
		return;
	}
	node->waiting[node->count].read = read;
	node->waiting[node->count++].due_us =
		now_us() + (int64_t)(next_random(&node->random) % (LATE_MS * 1000));
}

static void on_closed(struct nbd_connection *connection, const struct err *failure, void *data)
{
	(void)connection;
	struct node *node = data;
	node->count = 0;
	log_info("the connection ended%s%s", failure != NULL ? ": " : "",
		failure != NULL ? failure->msg : "");
}

static void on_tick(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	struct node *node = data;
	for (size_t i = node->count; i-- > 0;) {
		if (node->waiting[i].due_us > now_us())
			continue;
		nbd_read_answer(node->waiting[i].read, 0);
		node->waiting[i] = node->waiting[--node->count];
	}
}

static void on_control(evutil_socket_t fd, short what, void *data)
{
	(void)what;
	struct node *node = data;
	struct control_message message;
	struct nbd_connection *connection;
	struct err err = ERR_INIT;
	int r = control_receive(fd, &message, &err);
	if (r == 0)
		return;
	if (r < 0 || strcmp(message.word, "serve") != 0 ||
		nbd_connection_new(
			node->base, message.fd, false, &node->export, &connection, &err) < 0)
		event_base_loopbreak(node->base);
}

static int node_main(void)
{
	static struct node node;
	struct err err = ERR_INIT;
	struct stat st;
	struct timeval tick = {.tv_usec = 2000};
	log_setup(LOG_LEVEL_INFO, kmsg_sink, NULL);
	guard_process("snowboot-node");
	fstat(SUPERVISOR_CONFIG_FD, &st);
	node.base = event_base_new();
	node.random = (uint64_t)now_us() | 1;
	node.export = (struct nbd_export){.size = (uint64_t)st.st_size,
		.block_size = 4096,
		.read = on_read,
		.closed = on_closed,
		.data = &node};
	event_add(event_new(node.base, SUPERVISOR_CONTROL_FD, EV_READ | EV_PERSIST, on_control,
			  &node),
		NULL);
	event_add(event_new(node.base, -1, EV_PERSIST, on_tick, &node), &tick);
	if (control_send(SUPERVISOR_CONTROL_FD, "progress", -1, &err, "opening the image") < 0 ||
		control_send(SUPERVISOR_CONTROL_FD, "ready", -1, &err, "%llu 4096 test-image",
			(unsigned long long)st.st_size) < 0)
		return 1;
	event_base_dispatch(node.base);
	return 0;
}

/* What the readers share. */
struct account {
	uint64_t reads, wrong, errors;
	int64_t longest_us;
	uint64_t sums[1 << 16];
};

static uint64_t sum_of(const uint8_t *data, size_t len)
{
	uint64_t sum = 0xcbf29ce484222325u;
	for (size_t i = 0; i < len; i++)
		sum = (sum ^ data[i]) * 0x100000001b3u;
	return sum;
}

static void read_at_random(
	int fd, uint64_t blocks, int64_t until_us, uint64_t seed, struct account *account)
{
	uint8_t *data = aligned_alloc(4096, BLOCK);
	while (now_us() < until_us && access(ENOUGH, F_OK) < 0) {
		uint64_t block = next_random(&seed) % blocks;
		int64_t began = now_us();
		ssize_t n = pread(fd, data, BLOCK, (off_t)(block * BLOCK));
		int64_t took = now_us() - began;
		if (took > account->longest_us)
			account->longest_us = took;
		__atomic_add_fetch(&account->reads, 1, __ATOMIC_RELAXED);
		if (n != (ssize_t)BLOCK)
			__atomic_add_fetch(&account->errors, 1, __ATOMIC_RELAXED);
		else if (sum_of(data, BLOCK) != account->sums[block])
			__atomic_add_fetch(&account->wrong, 1, __ATOMIC_RELAXED);
	}
	_exit(0);
}

/* Reads all once, then at random by several processes around the page cache. */
static int reader_main(int seconds)
{
	AUTO_FD int fd = open(SUPERVISOR_DEVICE, O_RDONLY | O_DIRECT | O_CLOEXEC);
	uint64_t size = 0;
	uint8_t *data = aligned_alloc(4096, BLOCK);
	struct account *account = mmap(
		NULL, sizeof(*account), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &size) < 0 || account == MAP_FAILED || data == NULL)
		return 1;
	uint64_t blocks = size / BLOCK;
	for (uint64_t i = 0; i < blocks; i++) {
		if (pread(fd, data, BLOCK, (off_t)(i * BLOCK)) != (ssize_t)BLOCK)
			return 1;
		account->sums[i] = sum_of(data, BLOCK);
	}
	printf("reading\n");
	fflush(stdout);
	int64_t until_us = now_us() + (int64_t)seconds * 1000000;
	for (uint64_t i = 0; i < READERS; i++)
		if (fork() == 0)
			read_at_random(fd, blocks, until_us, 88172645463325252u + i, account);
	while (wait(NULL) > 0)
		;
	printf("reads %llu wrong %llu errors %llu longest-ms %lld\n",
		(unsigned long long)account->reads, (unsigned long long)account->wrong,
		(unsigned long long)account->errors, (long long)account->longest_us / 1000);
	return 0;
}

/* Waits for the device, saying what the supervisor says. */
static int await_device(int image, struct supervisor *supervisor, struct err *err)
{
	struct supervisor_event event;
	if (supervisor_start(image, supervisor, err) < 0)
		return -1;
	for (;;) {
		int r = supervisor_next(supervisor, 30000, &event, err);
		if (r < 0)
			return -1;
		if (r == 0)
			return err_raise(err, ERR_AGAIN, "the supervisor says nothing");
		if (event.kind == SUPERVISOR_FAILED) {
			*err = event.failure;
			return -1;
		}
		printf("event %d '%s'\n", (int)event.kind, event.text);
		if (event.kind == SUPERVISOR_ATTACHED)
			return 0;
	}
}

/* As stage 1 does it when an attempt failed: everything ends, and begins again. */
static int attach(int image, struct err *err)
{
	struct supervisor supervisor = SUPERVISOR_INIT;
	if (await_device(image, &supervisor, err) < 0)
		return -1;
	supervisor_stop(&supervisor);
	if (sysfile_exists("/sys/block/nbd0/pid"))
		return err_raise(err, ERR_BUG, "the device is still attached");
	return await_device(image, &supervisor, err);
}

/* A tmpfs with the store from the device, and this program for its third role. */
static int make_root(struct err *err)
{
	static const char *const dirs[] = {"/sysroot/dev", "/sysroot/proc", "/sysroot/sys",
		"/sysroot/run", "/sysroot/tmp", "/sysroot/nix", "/sysroot/nix/store"};
	if (sysfile_mkdir("/sysroot", 0755, err) < 0)
		return -1;
	if (mount("tmpfs", "/sysroot", "tmpfs", 0, "mode=755") < 0)
		return err_sys(err, "cannot mount a tmpfs");
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (sysfile_mkdir(dirs[i], 0755, err) < 0)
			return -1;
	if (mount(SUPERVISOR_DEVICE, "/sysroot/nix/store", "squashfs", MS_RDONLY, NULL) < 0)
		return err_sys(err, "cannot mount '" SUPERVISOR_DEVICE "'");
	AUTO_FD int from = open("/init", O_RDONLY | O_CLOEXEC);
	AUTO_FD int to = open("/sysroot/reader", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	struct stat st;
	if (from < 0 || to < 0 || fstat(from, &st) < 0)
		return err_sys(err, "cannot copy '/init'");
	return fd_copy(from, 0, (uint64_t)st.st_size, to, "/init", err);
}

static int init(char **argv, struct err *err)
{
	static struct modules modules;
	static struct cmdline cmdline;
	struct utsname kernel;
	AUTO_FD int image = -1;
	uname(&kernel);
	if (mounts_kernel(err) < 0)
		return -1;
	log_setup(LOG_LEVEL_INFO, kmsg_sink, NULL);
	if (cmdline_parse("nbd.nbds_max=1", &cmdline, err) < 0 ||
		modules_read("", kernel.release, &cmdline, &modules, err) < 0 ||
		modules_load(&modules, "nbd", err) < 0 ||
		modules_load(&modules, "squashfs", err) < 0)
		return -1;
	if (fd_open(AT_FDCWD, "/image.squashfs", O_RDONLY, &image, err) < 0 ||
		attach(image, err) < 0 || make_root(err) < 0)
		return -1;
	const struct handover handover = {.args = argv + 1};
	return handover_exec(&handover, SYSTEM_INIT, err);
}

int main(int argc, char **argv)
{
	if (strcmp(argv[0], SUPERVISOR_NAME) == 0)
		return supervisor_main();
	if (strcmp(argv[0], NODE_NAME) == 0)
		return node_main();
	if (strcmp(path_basename(argv[0]), "reader") == 0)
		return reader_main(argc > 1 ? (int)strtol(argv[1], NULL, 10) : 10);
	if (strcmp(path_basename(argv[0]), "modprobe") == 0)
		return modprobe_main(argc, argv);
	if (getpid() != 1)
		return 2;
	struct err err = ERR_INIT;
	(void)init(argv, &err); /* comes back only when it failed */
	printf("FAILED: %s\n", err.msg);
	for (;;)
		pause();
}
