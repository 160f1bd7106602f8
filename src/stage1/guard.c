/* SPDX-License-Identifier: MIT */
/*
 * Survival of the processes behind a network root. systemd spares a process whose argv[0] begins
 * with '@' (ROOT_STORAGE_DAEMONS), which those who start it see to.
 */
#include "stage1/guard.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "stage1/mounts.h"
#include "stage1/sysfile.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57 /* Linux 5.6 */
#endif

#define OWN_ROOT "/.supervisor" /* where the new root is built */

/* A help that fails is worth a line, and no end. */
static void help(const char *what, int r)
{
	struct err err = ERR_INIT;
	if (r < 0) {
		err_sys(&err, "%s", what);
		log_ignored(&err);
	}
}

void guard_process(const char *name)
{
	static const int ignored[] = {SIGTERM, SIGHUP, SIGINT, SIGPIPE, SIGQUIT};
	struct err err = ERR_INIT;
	setsid(); /* fails for the leader of a group, who has a session */
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		signal(ignored[i], SIG_IGN);
	AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd <= 2 && null > 2; fd++)
		dup2(null, fd);
	help("cannot set the name of the process", prctl(PR_SET_NAME, name));
	/* All there is now, and whatever is touched from now on. */
	help("cannot lock memory", mlockall(MCL_CURRENT));
	help("cannot lock future memory", mlockall(MCL_FUTURE | MCL_ONFAULT));
	help("cannot become an I/O flusher", prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0));
	if (sysfile_write("/proc/self/oom_score_adj", "-1000", &err) < 0)
		log_ignored(&err);
}

/* Mount points on a file system of ours: removing those of the initramfs would unmount them here,
 * too (Linux 3.18, detach_mounts()). */
static int move_in(struct err *err)
{
	static const char *const paths[] = {"/dev", "/proc", "/sys", "/run"};
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		AUTO_FREE char *to = path_printf(err, OWN_ROOT "%s", paths[i]);
		if (to == NULL || sysfile_mkdir(to, 0755, err) < 0)
			return -1;
		if (mounts_is_mountpoint(paths[i]) && mounts_move(paths[i], to, err) < 0)
			return -1;
	}
	return 0;
}

int guard_mounts(struct err *err)
{
	ERR_SCOPE(err, "mounts of our own");
	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(err, "cannot create a mount namespace");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(err, "cannot make mounts private");
	if (sysfile_mkdir(OWN_ROOT, 0755, err) < 0)
		return -1;
	if (mount("tmpfs", OWN_ROOT, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755") < 0)
		return err_sys(err, "cannot mount '" OWN_ROOT "'");
	if (move_in(err) < 0)
		return -1;
	if (chdir(OWN_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
		chdir("/") < 0)
		return err_sys(err, "cannot enter '" OWN_ROOT "'");
	return 0;
}
