/* SPDX-License-Identifier: MIT */
/*
 * One file, several programs. /proc/self/exe leads to the inode, which lives as long as a process
 * runs it, also when the initramfs has been emptied.
 */
#include "stage1/program.h"

#include <fcntl.h>
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
	(void)syscall(SYS_close_range, BEHIND_FD, ~0u, 0);
	execve("/proc/self/exe", args, env);
	_exit(127);
}

int program_start(const char *name, const int fds[PROGRAM_FDS], pid_t *ret_pid, struct err *err)
{
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(err, "cannot start '%s'", name);
	if (pid == 0)
		become(name, fds);
	*ret_pid = pid;
	return 0;
}
