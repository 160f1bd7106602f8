/* SPDX-License-Identifier: MIT */
/*
 * One file, several programs. /proc/self/exe leads to the inode, which lives as long as a process
 * runs it, also when the initramfs has been emptied.
 */
#include "stage1/program.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FIRST_FD 3
#define BEHIND_FD (FIRST_FD + PROGRAM_FDS)

/* In the child. */
static void become(const char *name, const int fds[PROGRAM_FDS])
{
	int copies[PROGRAM_FDS];
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Copies out of the way first: each may lie where another belongs. */
	for (int i = 0; i < PROGRAM_FDS; i++) {
		copies[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, BEHIND_FD);
		if (fds[i] >= 0 && copies[i] < 0)
			_exit(127);
	}
	for (int i = 0; i < PROGRAM_FDS; i++) {
		close(FIRST_FD + i);
		if (copies[i] >= 0 && dup2(copies[i], FIRST_FD + i) < 0)
			_exit(127);
	}
	char *const args[] = {(char *)name, NULL};
	char *const env[] = {NULL};
	/* By exec, and no sooner: that is what the parent waits for. */
	if (syscall(SYS_close_range, BEHIND_FD, ~0u, CLOSE_RANGE_CLOEXEC) < 0) /* Linux 5.11 */
		(void)syscall(SYS_close_range, BEHIND_FD, ~0u, 0);
	execve("/proc/self/exe", args, env);
	_exit(127);
}

int program_start(const char *name, const int fds[PROGRAM_FDS], pid_t *ret_pid, struct err *err)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, "cannot start '%s'", name);
	AUTO_FD int ours = ends[0], theirs = ends[1];
	AUTO_FD int until_exec = fcntl(theirs, F_DUPFD_CLOEXEC, BEHIND_FD);
	fd_close_ptr(&theirs);
	pid_t pid = until_exec < 0 ? -1 : fork();
	if (pid < 0)
		return err_sys(err, "cannot start '%s'", name);
	if (pid == 0)
		become(name, fds);
	fd_close_ptr(&until_exec);
	char nothing;
	while (read(ours, &nothing, 1) < 0 && errno == EINTR)
		;
	*ret_pid = pid;
	return 0;
}
