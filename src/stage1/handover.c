/* SPDX-License-Identifier: MIT */
/*
 * Handing over, for each kind as its own stage 1 would do it (nixpkgs stage-1-init.sh;
 * boot/systemd/initrd.nix with systemd's switch-root; nixos-init).
 */
#include "stage1/handover.h"

#include "base/fd.h"
#include "base/path.h"
#include "stage1/activation.h"
#include "stage1/initramfs.h"
#include "stage1/mounts.h"
#include "stage1/root.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child: its own session, no signal blocked or ignored, the new root. Never returns. */
static void exec_prepare_root(char *program)
{
	char *const args[] = {program, NULL};
	static char stage1[] = "IN_NIXOS_SYSTEMD_STAGE1=true";
	char *const env[] = {stage1, NULL};
	setsid();
	if (chroot(ROOT) == 0 && chdir("/") == 0)
		execve(program, args, env);
	_exit(127);
}

/* Runs prepare-root in the new root with /run bound, and waits for it. */
static int run_prepare_root(const struct init *init, struct err *err)
{
	AUTO_FREE char *program = path_printf(err, "%s/prepare-root", init->system);
	if (program == NULL || init_check_program(ROOT, program, err) < 0)
		return -1;
	if (mount("/run", ROOT "/run", NULL, MS_BIND | MS_REC, NULL) < 0)
		return err_sys(err, "cannot bind '/run' into the new root");
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(err, "cannot start '%s'", program);
	if (pid == 0)
		exec_prepare_root(program);
	int status = 0;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, "cannot wait for '%s'", program);
	if (WIFSIGNALED(status))
		return err_raise(err, ERR_IO, "'%s' was killed by signal %d (%s)", program,
			WTERMSIG(status), strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status) != 0)
		return err_raise(err, ERR_IO, "'%s' failed with exit status %d", program,
			WEXITSTATUS(status));
	return 0;
}

/*
 * The systemd that the initrd's own would re-execute: the system's, by its path below the toplevel.
 * `init` is a copy of it.
 */
static int find_systemd(const struct init *init, char **ret_program, struct err *err)
{
	AUTO_FREE char *link = path_printf(err, "%s/systemd/lib/systemd/systemd", init->system);
	if (link == NULL)
		return -1;
	struct err missing = ERR_INIT;
	if (init_check_program(ROOT, link, &missing) < 0) {
		*ret_program = path_printf(err, "%s", init->path);
		return *ret_program != NULL ? 0 : -1;
	}
	return init_resolve(ROOT, link, ret_program, err);
}

int handover_prepare(const struct handover *handover, char **ret_program, struct err *err)
{
	const struct init *init = handover->init;
	switch (handover->plan->kind) {
	case SYSTEM_SCRIPTED:
		*ret_program = path_printf(err, "%s", init->path);
		return *ret_program != NULL ? 0 : -1;
	case SYSTEM_SYSTEMD:
		if (activation_mount_etc(handover->plan, ROOT, handover->etc_writable,
			    handover->modules, err) < 0 ||
			run_prepare_root(init, err) < 0)
			return -1;
		return find_systemd(init, ret_program, err);
	case SYSTEM_NIXOS_INIT:
		if (activation_run(handover->plan, init->system, ROOT, handover->etc_writable,
			    handover->modules, err) < 0)
			return -1;
		return find_systemd(init, ret_program, err);
	}
	return err_raise(err, ERR_BUG, "unknown kind of system");
}

/*
 * Where prepare-root mounted its own already, ours goes away, as systemd's switch-root does it
 * (src/shared/switch-root.c); else ours moves.
 */
static int move_kernel_mounts(struct err *err)
{
	static const char *const paths[] = {"/dev", "/proc", "/sys", "/run"};
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		AUTO_FREE char *to = path_printf(err, ROOT "%s", paths[i]);
		if (to == NULL)
			return -1;
		if (mounts_is_mountpoint(to))
			(void)umount2(paths[i], MNT_DETACH); /* the new one is what counts */
		else if (mounts_move(paths[i], to, err) < 0)
			return -1;
	}
	return 0;
}

static int enter_root(struct err *err)
{
	if (chdir(ROOT) < 0)
		return err_sys(err, "cannot enter '" ROOT "'");
	if (mount(".", "/", NULL, MS_MOVE, NULL) < 0)
		return err_sys(err, "cannot make '" ROOT "' the root");
	if (chroot(".") < 0 || chdir("/") < 0)
		return err_sys(err, "cannot enter the new root");
	return 0;
}

/* PID 1 starts with /dev/console as its standard streams, and no signal blocked or ignored. */
static void reset_process(void)
{
	int console = open("/dev/console", O_RDWR | O_NOCTTY);
	if (console >= 0) {
		for (int fd = 0; fd <= 2; fd++)
			if (console != fd)
				dup2(console, fd);
		if (console > 2)
			close(console);
	}
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL); /* KILL and STOP refuse, and are never changed */
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(0022);
	/* Ours close by exec all the same; this is for what libc or the kernel left open. */
	(void)syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC);
}

/* execve() says ENOENT for a missing dynamic loader too; the program itself was checked. */
static int diagnose_exec(const char *program, int errnum, struct err *err)
{
	if (errnum == ENOENT)
		return err_raise(err, ERR_NOT_FOUND,
			"cannot execute '%s': the loader or interpreter it names does not exist",
			program);
	return err_errno(err, errnum, "cannot execute '%s'", program);
}

int handover_exec(const struct handover *handover, const char *program, struct err *err)
{
	size_t count = 0;
	while (handover->args[count] != NULL)
		count++;
	AUTO_FREE char **args = calloc(count + 2, sizeof(*args));
	if (args == NULL)
		return err_oom(err);
	args[0] = (char *)program;
	memcpy(args + 1, handover->args, count * sizeof(*args));
	AUTO_FD int rootfd = -1, pipe = -1;
	if (fd_open(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY, &rootfd, err) < 0 ||
		initramfs_free_after_exec(rootfd, &pipe, err) < 0)
		return -1;
	if (move_kernel_mounts(err) == 0 && enter_root(err) == 0) {
		/* NixOS's stage 1 starts it with an empty environment, too (env -i). */
		char *const env[] = {NULL};
		reset_process();
		execve(program, args, env);
		diagnose_exec(program, errno, err);
	}
	(void)!write(pipe, "x", 1); /* keep the initramfs */
	return -1;
}
