/* SPDX-License-Identifier: MIT */
/*
 * One file, several programs. /proc/self/exe leads to the inode, which lives as long as a process
 * runs it, also when the initramfs has been emptied.
 */
#include "stage1/program.h"

#include "stage1/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FIRST_FREE_FD (SUPERVISOR_CONFIG_FD + 1)

/* In the child. */
static void become(const char *name, int control, int config)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Copies out of the way first: each may lie where the other belongs. */
	control = fcntl(control, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	config = fcntl(config, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	if (control >= 0 && config >= 0 && dup2(control, SUPERVISOR_CONTROL_FD) >= 0 &&
		dup2(config, SUPERVISOR_CONFIG_FD) >= 0) {
		char *const args[] = {(char *)name, NULL};
		char *const env[] = {NULL};
		(void)syscall(SYS_close_range, FIRST_FREE_FD, ~0u, 0);
		execve("/proc/self/exe", args, env);
	}
	_exit(127);
}

int program_start(const char *name, int control, int config, pid_t *ret_pid, struct err *err)
{
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(err, "cannot start '%s'", name);
	if (pid == 0)
		become(name, control, config);
	*ret_pid = pid;
	return 0;
}
