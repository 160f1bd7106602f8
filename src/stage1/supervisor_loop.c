/* SPDX-License-Identifier: MIT */
/*
 * The supervisor itself. It holds the device's netlink socket, knows one node at a time and nothing
 * of what a node does; it allocates nothing once it runs, and it never ends by itself but on stage
 * 1's word.
 */
#include "stage1/supervisor.h"

#include "base/fd.h"
#include "base/log.h"
#include "nbd/device.h"
#include "net/net.h"
#include "stage1/guard.h"
#include "stage1/kmsg.h"
#include "stage1/program.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ATTACH_MS 10000
#define RETRY_MS 50         /* between two attempts to hand over a socket */
#define RETRIES 200         /* 10 s: the kernel notices a dead socket within milliseconds */
#define BACKOFF_STEP_MS 200 /* doubled with each node that never served */
#define BACKOFF_MAX_MS 10000
#define QUIT_MS 1000

struct watch {
	int stage1; /* -1 once stage 1 is no more */
	int config;
	int namespace; /* of the nodes; -1: none could be made */
	int control;   /* of the node; -1: none runs */
	int pidfd;
	pid_t pid;
	int64_t began_ms;
	unsigned fruitless; /* nodes in a row that never served; after one that did, the next starts
			       at once */
	bool serves, attached, quit;
	struct nbd_device device;
	struct nbd_device_params params;
	char identifier[130];
};

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t backoff_ms(unsigned fruitless)
{
	if (fruitless == 0)
		return 0;
	return fruitless > 6 ? BACKOFF_MAX_MS : (int64_t)BACKOFF_STEP_MS << (fruitless - 1);
}

/* Stage 1 hears what it can; when it is gone the log is all there is. */
static void tell(struct watch *watch, const char *word, const char *text)
{
	struct err err = ERR_INIT;
	if (watch->stage1 >= 0 && control_send(watch->stage1, word, -1, &err, "%s", text) < 0 &&
		err.kind != ERR_AGAIN)
		fd_close_ptr(&watch->stage1);
}

static void tell_failure(struct watch *watch, const struct err *failure)
{
	struct err ignored = ERR_INIT; /* a stage 1 that is gone needs no word */
	log_error("%s", failure->msg);
	if (watch->stage1 >= 0)
		(void)control_send_failure(watch->stage1, failure, &ignored);
}

static int start_node(struct watch *watch, struct err *err)
{
	int ends[2];
	if (control_pair(ends, err) < 0)
		return -1;
	AUTO_FD int ours = ends[0], theirs = ends[1];
	const int fds[PROGRAM_FDS] = {theirs, watch->config, watch->namespace};
	if (program_start(NODE_NAME, fds, &watch->pid, err) < 0)
		return -1;
	watch->pidfd = (int)syscall(SYS_pidfd_open, watch->pid, 0); /* Linux 5.3 */
	if (watch->pidfd < 0) {
		err_sys(err, "cannot watch process %d", (int)watch->pid);
		kill(watch->pid, SIGKILL);
		waitpid(watch->pid, NULL, 0);
		return -1;
	}
	watch->control = TAKE_FD(ours);
	watch->began_ms = now_ms();
	return 0;
}

static void node_died(struct watch *watch)
{
	int status = 0;
	while (waitpid(watch->pid, &status, 0) < 0 && errno == EINTR)
		;
	fd_close_ptr(&watch->control);
	fd_close_ptr(&watch->pidfd);
	watch->fruitless = watch->serves ? 0 : watch->fruitless + 1;
	watch->serves = false;
	if (watch->quit)
		return;
	if (WIFSIGNALED(status))
		log_warning("the node was killed by signal %d (%s), starting it again in %" PRId64
			    " ms",
			WTERMSIG(status), strsignal(WTERMSIG(status)),
			backoff_ms(watch->fruitless));
	else
		log_warning("the node ended with status %d, starting it again in %" PRId64 " ms",
			WEXITSTATUS(status), backoff_ms(watch->fruitless));
}

static int stream_pair(int ret_fds[2], struct err *err)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_fds) < 0)
		return err_sys(err, "cannot make a socket pair");
	return 0;
}

static int attach(struct watch *watch, struct err *err)
{
	int ends[2];
	if (stream_pair(ends, err) < 0)
		return -1;
	AUTO_FD int kernels = ends[0], nodes = ends[1];
	/* The node first: whoever opens the device reads at once. */
	if (control_send(watch->control, "serve", nodes, err, "%s", "") < 0)
		return err_prefix(err, "the node");
	fd_close_ptr(&nodes);
	if (nbd_device_connect(&watch->device, &watch->params, kernels, ATTACH_MS, err) < 0)
		return -1;
	watch->attached = watch->serves = true;
	tell(watch, "device", SUPERVISOR_DEVICE);
	return 0;
}

/*
 * Hands the kernel its end of a new pair: 1 when it took it, 0 when it dropped it because it has
 * not noticed yet that the old one is dead, which shows as a hang-up once our copy is closed.
 */
static int offer(struct watch *watch, int *take_kernels, int nodes, struct err *err)
{
	AUTO_FD int kernels = TAKE_FD(*take_kernels);
	if (nbd_device_reconnect(&watch->device, watch->identifier, kernels, err) < 0)
		return -1;
	fd_close_ptr(&kernels);
	struct pollfd dropped = {.fd = nodes, .events = POLLIN};
	return poll(&dropped, 1, 0) == 1 && (dropped.revents & POLLHUP) != 0 ? 0 : 1;
}

static int reattach(struct watch *watch, struct err *err)
{
	for (int i = 0; i < RETRIES; i++) {
		int ends[2];
		if (stream_pair(ends, err) < 0)
			return -1;
		AUTO_FD int kernels = ends[0], nodes = ends[1];
		int r = offer(watch, &kernels, nodes, err);
		if (r < 0)
			return -1;
		if (r == 1) {
			if (control_send(watch->control, "serve", nodes, err, "%s", "") < 0)
				return err_prefix(err, "the node");
			watch->serves = true;
			log_info("the node serves again, %" PRId64 " ms after its start",
				now_ms() - watch->began_ms);
			return 0;
		}
		poll(NULL, 0, RETRY_MS);
	}
	return err_raise(
		err, ERR_AGAIN, "the kernel takes no new socket for '%s'", SUPERVISOR_DEVICE);
}

/* "SIZE BLOCKSIZE IDENTIFIER": the first time it is believed, later it must be the same. */
static int node_ready(struct watch *watch, const char *text, struct err *err)
{
	struct nbd_device_params params = {0};
	char identifier[sizeof(watch->identifier)];
	if (sscanf(text, "%" SCNu64 " %" SCNu32 " %129s", &params.size, &params.block_size,
		    identifier) != 3)
		return err_raise(err, ERR_BUG, "the node is ready for '%s'", text);
	if (!watch->attached) {
		memcpy(watch->identifier, identifier, sizeof(identifier));
		watch->params = params;
		watch->params.identifier = watch->identifier;
		return attach(watch, err);
	}
	if (params.size != watch->params.size || params.block_size != watch->params.block_size ||
		strcmp(identifier, watch->identifier) != 0)
		return err_raise(err, ERR_CORRUPT,
			"the node offers image '%s' of %" PRIu64 " bytes, and '%s' of %" PRIu64
			" is attached",
			identifier, params.size, watch->identifier, watch->params.size);
	return reattach(watch, err);
}

static void hear_node(struct watch *watch)
{
	struct control_message message;
	struct err err = ERR_INIT;
	int r = control_receive(watch->control, &message, &err);
	if (r < 0) { /* it died, or is of no use any more */
		kill(watch->pid, SIGKILL);
		fd_close_ptr(&watch->control);
	}
	if (r <= 0)
		return;
	fd_close_ptr(&message.fd);
	if (strcmp(message.word, "progress") == 0 || strcmp(message.word, "address") == 0)
		tell(watch, message.word, message.text);
	if (strcmp(message.word, "failed") == 0)
		control_failure(message.text, &err);
	if (strcmp(message.word, "ready") == 0 && node_ready(watch, message.text, &err) < 0)
		kill(watch->pid, SIGKILL); /* another one gets another chance */
	if (!err_clean(&err))
		tell_failure(watch, &err);
}

static void hear_stage1(struct watch *watch)
{
	struct control_message message;
	struct err gone = ERR_INIT;
	int r = control_receive(watch->stage1, &message, &gone);
	if (r < 0) {
		fd_close_ptr(&watch->stage1);
		return;
	}
	if (r == 1)
		fd_close_ptr(&message.fd);
	watch->quit = r == 1 && strcmp(message.word, "quit") == 0;
}

/* One turn: waits for a word, a death, or the time to start a node. */
static void turn(struct watch *watch)
{
	int64_t wait = -1;
	if (watch->pidfd < 0) {
		wait = watch->began_ms + backoff_ms(watch->fruitless) - now_ms();
		struct err err = ERR_INIT;
		if (wait <= 0 && start_node(watch, &err) < 0) {
			log_error("%s", err.msg);
			watch->began_ms = now_ms();
			watch->fruitless++;
		}
		if (wait <= 0)
			return;
	}
	/* poll() passes over negative descriptors. */
	struct pollfd fds[] = {{.fd = watch->stage1, .events = POLLIN},
		{.fd = watch->control, .events = POLLIN}, {.fd = watch->pidfd, .events = POLLIN}};
	if (poll(fds, ARRAY_LEN(fds), (int)wait) < 0)
		return;
	if (fds[0].revents != 0)
		hear_stage1(watch);
	if (fds[1].revents != 0)
		hear_node(watch);
	if (fds[2].revents != 0)
		node_died(watch);
}

static void end(struct watch *watch)
{
	struct err ignored = ERR_INIT; /* what is not attached cannot be detached */
	if (watch->pidfd >= 0) {
		(void)control_send(watch->control, "quit", -1, &ignored, "%s", "");
		struct pollfd dead = {.fd = watch->pidfd, .events = POLLIN};
		if (poll(&dead, 1, QUIT_MS) != 1)
			kill(watch->pid, SIGKILL);
		node_died(watch);
	}
	err_reset(&ignored);
	if (watch->attached)
		(void)nbd_device_disconnect(&watch->device, &ignored);
	nbd_device_done(&watch->device);
}

int supervisor_main(void)
{
	struct err err = ERR_INIT;
	struct watch watch = {.stage1 = SUPERVISOR_CONTROL_FD,
		.config = SUPERVISOR_CONFIG_FD,
		.namespace = -1,
		.control = -1,
		.pidfd = -1,
		.began_ms = now_ms(),
		.device = NBD_DEVICE_INIT};
	log_setup(LOG_LEVEL_INFO, kmsg_sink, NULL);
	guard_process("snowboot-superv");
	if (guard_mounts(&err) < 0) {
		tell_failure(&watch, &err);
		return 1;
	}
	/* Without one the nodes share the machine's. */
	if (net_namespace_new(&watch.namespace, &err) < 0)
		log_ignored(&err);
	while (!watch.quit)
		turn(&watch);
	end(&watch);
	return 0;
}
