/* SPDX-License-Identifier: MIT */
/*
 * It uses the system's own network, whatever that is and whenever it comes, so it knows nothing of
 * links and addresses: it asks, and asks again. Its file system is the emptied initramfs; into the
 * system's it goes only when that is up, for resolv.conf.
 */
#include "stage1/reporter.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "node/bootend.h"
#include "stage1/kmsg.h"
#include "stage1/netconf.h"
#include "stage1/program.h"
#include "stage1/teller.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOTIFY_FD 3
#define URLS_FD 4
#define MOUNTS_FD 5
#define PAUSE_MS 1000
#define PATIENCE_MS 600000

struct reporter {
	const struct reporter_params *params;
	struct event_base *base;
	struct node_bootend *bootend;
	struct teller *teller;
	struct err failure; /* why nobody has taken it yet */
	bool told;
};

static void on_told(const struct err *failure, void *data)
{
	struct reporter *r = data;
	r->told = failure == NULL;
	if (failure != NULL)
		r->failure = *failure;
	event_base_loopbreak(r->base);
}

/* setns() leads to the root of the namespace, over which the system's is mounted by now, also when
 * it is the namespace that we are in (Linux 4.18, mntns_install()). */
static void on_news(enum bootend_news news, void *data)
{
	struct reporter *r = data;
	const struct teller_params params = {.urls = r->params->urls,
		.pause_ms = r->params->pause_ms,
		.patience_ms = r->params->patience_ms};
	if (news != BOOTEND_UP)
		return; /* there is no network yet to tell it by */
	if (r->params->mounts >= 0 && setns(r->params->mounts, CLONE_NEWNS) < 0) {
		err_sys(&r->failure, "cannot enter the system's file system");
		log_ignored(&r->failure);
		err_reset(&r->failure);
	}
	if (teller_new(r->base, &params, on_told, r, &r->teller, &r->failure) < 0)
		event_base_loopbreak(r->base);
}

int reporter_run(const struct reporter_params *params, int take_fd, struct err *err)
{
	struct reporter r = {.params = params, .base = event_base_new()};
	AUTO_FD int fd = take_fd;
	if (r.base == NULL)
		return err_oom(err);
	int result = node_bootend_new(r.base, TAKE_FD(fd), on_news, &r, &r.bootend, err);
	if (result == 0)
		event_base_dispatch(r.base);
	if (result == 0 && !r.told) {
		*err = r.failure;
		result = err_prefix(err, "cannot tell the server that the system is up");
	}
	node_bootend_free(r.bootend);
	teller_free(r.teller);
	event_base_free(r.base);
	return result;
}

int reporter_start(const struct cmdline *cmdline, const char *run, pid_t *ret_pid, struct err *err)
{
	AUTO_NETCONF conf = {0};
	AUTO_FD int urls = -1, notify = -1, mounts = -1;
	ERR_SCOPE(err, "cannot start who tells the server when the system is up");
	if (netconf_apply(&conf, cmdline, err) < 0)
		return -1;
	*ret_pid = 0;
	if (conf.node.origins.len == 0)
		return 0;
	AUTO_FREE char *path = path_printf(err, "%s/snowboot/" BOOTEND_SOCKET, run);
	/* Here, where /run and /proc are: they move away before it looks. */
	if (path == NULL || teller_keep_urls(&conf, "up", NULL, &urls, err) < 0 ||
		node_bootend_listen(path, &notify, err) < 0 ||
		fd_open(AT_FDCWD, "/proc/self/ns/mnt", O_RDONLY, &mounts, err) < 0)
		return -1;
	const int fds[PROGRAM_FDS] = {notify, urls, mounts};
	return program_start(REPORTER_NAME, fds, ret_pid, err);
}

void reporter_stop(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

int reporter_main(void)
{
	struct err err = ERR_INIT;
	AUTO_STRVEC urls = {0};
	log_setup(LOG_LEVEL_INFO, kmsg_sink, NULL);
	setsid(); /* fails for the leader of a group, who has a session */
	AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd <= 2 && null > 2; fd++)
		dup2(null, fd);
	(void)prctl(PR_SET_NAME, "snowboot-report"); /* for whoever looks */
	const struct reporter_params params = {.urls = &urls,
		.mounts = MOUNTS_FD,
		.pause_ms = PAUSE_MS,
		.patience_ms = PATIENCE_MS};
	if (teller_read_urls(URLS_FD, &urls, &err) == 0 &&
		reporter_run(&params, NOTIFY_FD, &err) == 0)
		return 0;
	log_warning("%s", err.msg);
	return 1;
}
