/* SPDX-License-Identifier: MIT */
/*
 * The process that loads drivers. It is never killed: a signal that reaches a driver inside
 * finit_module() makes its probe fail with EINTR, and nobody probes that device again.
 */
#include "stage1/hardware.h"

#include "base/fd.h"
#include "base/log.h"
#include "stage1/uevent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct loader {
	struct modules *modules;
	struct strvec seen; /* each MODALIAS is looked up once */
	int control, events;
};

/* The other end of `control` was closed. */
static bool asked_to_end(const struct loader *loader)
{
	struct pollfd fd = {loader->control, POLLIN, 0};
	return poll(&fd, 1, 0) > 0;
}

static int visit(const struct uevent *event, void *data)
{
	struct loader *loader = data;
	if (asked_to_end(loader))
		return 1;
	const char *alias = uevent_get(event, "MODALIAS");
	if (alias == NULL || strvec_has(&loader->seen, alias))
		return 0;
	struct err err = ERR_INIT;
	if (strvec_push(&loader->seen, alias, &err) < 0 ||
		modules_load_alias(loader->modules, alias, &err) < 0)
		log_ignored(&err);
	return 0;
}

/* Everything that waits in the socket. Dropped messages are made good by another walk. */
static int drain(struct loader *loader)
{
	struct uevent event;
	for (;;) {
		struct err err = ERR_INIT;
		int r = uevent_next(loader->events, &event, &err);
		if (r == 0)
			return 0;
		if (r < 0) {
			if (err.kind != ERR_LIMIT)
				return -1;
			r = uevent_walk("/sys/devices", visit, loader);
		} else {
			r = visit(&event, loader);
		}
		if (r != 0)
			return r;
	}
}

static void loader_run(struct loader *loader, int settled)
{
	struct err err = ERR_INIT;
	/* Listen first, so that no device falls between the walk and the first message. */
	if (uevent_open(&loader->events, &err) < 0) {
		log_error("%s, no drivers are loaded", err.msg);
		return;
	}
	if (uevent_walk("/sys/devices", visit, loader) != 0 || drain(loader) != 0)
		return;
	close(settled);
	for (;;) {
		struct pollfd fds[] = {{loader->events, POLLIN, 0}, {loader->control, POLLIN, 0}};
		if (poll(fds, ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
			return;
		if (fds[1].revents != 0 || (fds[0].revents != 0 && drain(loader) != 0))
			return;
	}
}

int hardware_start(struct hardware *hardware, struct modules *modules, struct err *err)
{
	if (hardware->pid > 0)
		return 0;
	int control[2], settled[2];
	if (pipe2(control, O_CLOEXEC) < 0)
		return err_sys(err, "cannot create a pipe");
	AUTO_FD int control_end = control[0], control_ours = control[1];
	if (pipe2(settled, O_CLOEXEC) < 0)
		return err_sys(err, "cannot create a pipe");
	AUTO_FD int settled_ours = settled[0], settled_end = settled[1];
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(err, "cannot start the process that loads drivers");
	if (pid == 0) {
		close(control_ours);
		close(settled_ours);
		prctl(PR_SET_NAME, "stage1-drivers");
		struct loader loader = {.modules = modules, .control = control_end, .events = -1};
		loader_run(&loader, settled_end);
		_exit(0);
	}
	*hardware = (struct hardware){pid, TAKE_FD(control_ours), TAKE_FD(settled_ours)};
	return 0;
}

bool hardware_is_settled(const struct hardware *hardware, int wait_ms)
{
	struct pollfd fd = {hardware->settled, POLLIN, 0};
	return hardware->pid <= 0 || poll(&fd, 1, wait_ms) != 0;
}

void hardware_settle(const struct hardware *hardware, int timeout_ms)
{
	if (!hardware_is_settled(hardware, timeout_ms))
		log_warning("drivers still load after %d ms, going on", timeout_ms);
}

void hardware_stop(struct hardware *hardware)
{
	fd_close_ptr(&hardware->control);
}

void hardware_join(struct hardware *hardware, int timeout_ms)
{
	if (hardware->pid <= 0)
		return;
	AUTO_FD int process = (int)syscall(SYS_pidfd_open, hardware->pid, 0);
	struct pollfd fd = {process, POLLIN, 0};
	if (process >= 0 && poll(&fd, 1, timeout_ms) == 0)
		log_warning("a driver takes longer than %d ms, going on without it", timeout_ms);
	else
		(void)waitpid(hardware->pid, NULL, 0); /* fails only if it was reaped */
	fd_close_ptr(&hardware->settled);
	hardware->pid = 0;
}
