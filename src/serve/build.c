/* SPDX-License-Identifier: MIT */
/*
 * posix_spawn(), since this process has another thread. Its end is seen by a pidfd (Linux 5.3), so
 * that no signal handler is shared with whoever else has children.
 */
#include "serve/build.h"

#include "base/fd.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct build {
	char *name; /* of the program */
	pid_t pid;  /* and of its process group; 0: it ended */
	int pidfd;
	struct event *ended;
	build_done_fn *done;
	void *data;
};

struct build *build_free(struct build *b)
{
	if (b == NULL)
		return NULL;
	if (b->ended != NULL)
		event_free(b->ended);
	if (b->pid > 0) {
		int status;
		(void)kill(-b->pid, SIGKILL);
		while (waitpid(b->pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	fd_close_ptr(&b->pidfd);
	free(b->name);
	free(b);
	return NULL;
}

static void on_ended(evutil_socket_t fd, short what, void *data)
{
	struct build *b = data;
	struct err failure = ERR_INIT;
	int status = 0;
	(void)fd;
	(void)what;
	if (waitpid(b->pid, &status, WNOHANG) != b->pid)
		return;
	b->pid = 0;
	event_del(b->ended);
	if (WIFSIGNALED(status))
		(void)err_raise(
			&failure, ERR_IO, "%s was killed by signal %d", b->name, WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		(void)err_raise(
			&failure, ERR_IO, "%s failed with status %d", b->name, WEXITSTATUS(status));
	b->done(&failure, b->data); /* may free us */
}

/* Own process group, default signals, and no input. */
static int spawn(struct build *b, const char *const argv[], int log, struct err *err)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	if (posix_spawn_file_actions_init(&files) != 0 || posix_spawnattr_init(&attr) != 0)
		return err_oom(err);
	int r = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&files, log, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&files, log, STDERR_FILENO);
	if (r == 0)
		r = posix_spawnattr_setflags(&attr,
			POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (r == 0)
		r = posix_spawnattr_setsigmask(&attr, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(&attr, &all);
	if (r == 0)
		r = posix_spawnp(&b->pid, argv[0], &files, &attr, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return r == 0 ? 0 : err_errno(err, r, "cannot run '%s'", argv[0]);
}

int build_start(struct event_base *base, const char *const argv[], const char *log_path,
	build_done_fn *done, void *data, struct build **ret, struct err *err)
{
	AUTO_FD int log = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (log < 0)
		return err_sys(err, "cannot write the log '%s'", log_path);
	struct build *b = calloc(1, sizeof(*b));
	if (b == NULL)
		return err_oom(err);
	*b = (struct build){.pidfd = -1, .done = done, .data = data, .name = strdup(argv[0])};
	int r = b->name == NULL ? err_oom(err) : spawn(b, argv, log, err);
	if (r == 0 && (b->pidfd = pidfd_open(b->pid, 0)) < 0)
		r = err_sys(err, "cannot watch '%s'", argv[0]);
	if (r == 0) {
		b->ended = event_new(base, b->pidfd, EV_READ | EV_PERSIST, on_ended, b);
		if (b->ended == NULL || event_add(b->ended, NULL) < 0)
			r = err_oom(err);
	}
	if (r < 0)
		build_free(b);
	else
		*ret = b;
	return r;
}
