/* SPDX-License-Identifier: MIT */
/*
 * Stage 1's side of the supervisor: starting it, hearing it, ending it. When stage 1 executes the
 * system's init, its end of the socket closes and the supervisor goes on alone.
 */
#include "stage1/supervisor.h"

#include "base/fd.h"
#include "stage1/program.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define STOP_MS 5000

int supervisor_start(int config_fd, struct supervisor *ret, struct err *err)
{
	int ends[2];
	ERR_SCOPE(err, "cannot start the supervisor");
	if (control_pair(ends, err) < 0)
		return -1;
	AUTO_FD int ours = ends[0], theirs = ends[1];
	const int fds[PROGRAM_FDS] = {theirs, config_fd, -1};
	if (program_start(SUPERVISOR_NAME, fds, &ret->pid, err) < 0)
		return -1;
	ret->control = TAKE_FD(ours);
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* False for a word that is not known: one of a node that is newer. */
static bool understand(const struct control_message *message, struct supervisor_event *ret)
{
	static const struct {
		const char *word;
		enum supervisor_event_kind kind;
	} words[] = {{"progress", SUPERVISOR_PROGRESS}, {"address", SUPERVISOR_ADDRESS},
		{"failed", SUPERVISOR_FAILED}, {"device", SUPERVISOR_ATTACHED}};
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(message->word, words[i].word) != 0)
			continue;
		*ret = (struct supervisor_event){.kind = words[i].kind};
		memcpy(ret->text, message->text, sizeof(ret->text));
		if (ret->kind == SUPERVISOR_FAILED)
			control_failure(message->text, &ret->failure);
		return true;
	}
	return false;
}

int supervisor_next(struct supervisor *supervisor, int timeout_ms, struct supervisor_event *ret,
	struct err *err)
{
	int64_t deadline = now_ms() + timeout_ms;
	for (;;) {
		struct control_message message;
		int r = control_receive(supervisor->control, &message, err);
		if (r < 0)
			return err_prefix(err, "the supervisor of the network root");
		if (r == 1) {
			fd_close_ptr(&message.fd);
			if (understand(&message, ret))
				return 1;
			continue;
		}
		int64_t left = deadline - now_ms();
		if (left <= 0)
			return 0;
		struct pollfd readable = {.fd = supervisor->control, .events = POLLIN};
		poll(&readable, 1, (int)left);
	}
}

void supervisor_stop(struct supervisor *supervisor)
{
	struct err ignored = ERR_INIT; /* it may be dead, which is what is wanted */
	struct supervisor_event event;
	if (supervisor->pid <= 0)
		return;
	(void)control_send(supervisor->control, "quit", -1, &ignored, "%s", "");
	int64_t deadline = now_ms() + STOP_MS;
	err_reset(&ignored);
	while (now_ms() < deadline &&
		supervisor_next(supervisor, (int)(deadline - now_ms()), &event, &ignored) == 1)
		;
	kill(supervisor->pid, SIGKILL);
	while (waitpid(supervisor->pid, NULL, 0) < 0 && errno == EINTR)
		;
	fd_close_ptr(&supervisor->control);
	*supervisor = SUPERVISOR_INIT;
}
