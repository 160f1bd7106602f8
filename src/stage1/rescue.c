/* SPDX-License-Identifier: MIT */
/* What stage 1 does instead of exiting. */
#include "stage1/rescue.h"

#include "base/fd.h"
#include "base/log.h"
#include "stage1/console.h"
#include "stage1/secureboot.h"
#include "stage1/sysfile.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#define BUSYBOX "/bin/busybox"

static void crash(void)
{
	struct err err = ERR_INIT;
	sync();
	if (sysfile_write("/proc/sysrq-trigger", "c", &err) < 0)
		log_error("%s, rebooting instead", err.msg);
	reboot(RB_AUTOBOOT);
}

/* A shell on that console, until it ends. Never returns in the child. */
static void exec_shell(const char *console)
{
	const char *const args[] = {"sh", NULL};
	const char *const env[] = {"PATH=/sbin:/bin", "HOME=/", "TERM=linux", "PS1=rescue# ", NULL};
	setsid();
	int fd = open(console, O_RDWR);
	if (fd < 0)
		_exit(127);
	(void)ioctl(fd, TIOCSCTTY, 1); /* without it only job control is missing */
	for (int i = 0; i <= 2; i++)
		dup2(fd, i);
	execve(BUSYBOX, (char *const *)args, (char *const *)env);
	_exit(127);
}

static void run_shell(const struct consoles *consoles, size_t index)
{
	pid_t pid = fork();
	if (pid == 0)
		exec_shell(consoles->paths[index]);
	int status = 0;
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 127))
		consoles_print(consoles, "\r\ncannot start '" BUSYBOX "'\r\n");
}

/* Why there is no shell, or NULL when there is one. */
static const char *shell_refused(const struct cmdline *cmdline, struct modules *modules)
{
	if (!cmdline_flag(cmdline, "boot.shell_on_fail"))
		return "boot with boot.shell_on_fail for a shell";
	if (secureboot_enforced(modules))
		return "no shell under Secure Boot";
	return sysfile_exists(BUSYBOX) ? NULL : "no shell: the initramfs has no " BUSYBOX;
}

static void print_cause(const struct consoles *consoles, const struct err *cause)
{
	consoles_print(consoles, "\r\n\r\nsnowboot: the boot failed\r\n\r\n  %s\r\n", cause->msg);
	if (cause->hint[0] != '\0')
		consoles_print(consoles, "  hint: %s\r\n", cause->hint);
	consoles_print(consoles, "\r\n");
}

bool rescue_crashes(const struct cmdline *cmdline)
{
	return cmdline_flag(cmdline, "boot.panic_on_fail") || cmdline_flag(cmdline, "stage1panic");
}

void rescue(const struct err *cause, const struct cmdline *cmdline, struct modules *modules)
{
	log_error("the boot failed: %s", cause->msg);
	struct consoles consoles;
	consoles_open(&consoles, cmdline);
	print_cause(&consoles, cause);
	if (rescue_crashes(cmdline))
		crash();
	static const char with_shell[] =
		"r) retry  b) reboot  p) power off  s) shell, then Enter: ";
	static const char without[] = "r) retry  b) reboot  p) power off, then Enter: ";
	const char *refused = shell_refused(cmdline, modules);
	for (;;) {
		if (refused != NULL)
			consoles_print(&consoles, "(%s)\r\n", refused);
		size_t index = 0;
		char answer =
			consoles_ask(&consoles, refused == NULL ? with_shell : without, &index);
		if (answer == 'r')
			break;
		if (answer == 'b')
			reboot(RB_AUTOBOOT);
		if (answer == 'p')
			reboot(RB_POWER_OFF);
		if (answer == 's' && refused == NULL) {
			run_shell(&consoles, index);
			/* The end of a session hangs its terminal up, for us too. */
			consoles_close(&consoles);
			consoles_open(&consoles, cmdline);
		}
		print_cause(&consoles, cause);
	}
	consoles_print(&consoles, "\r\n");
	consoles_close(&consoles);
}
