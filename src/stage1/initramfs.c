/* SPDX-License-Identifier: MIT */
/*
 * Emptying the initramfs. It happens after exec and not before: whatever fails until then still
 * finds its modules and its shell.
 */
#include "stage1/initramfs.h"

#include "base/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* As util-linux's switch_root does: never across a mount. */
static void remove_below(int fd, dev_t dev)
{
	struct stat st;
	DIR *dir = fstat(fd, &st) == 0 && st.st_dev == dev ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		close(fd);
		return;
	}
	const struct dirent *entry;
	while ((entry = readdir(dir)) != NULL) {
		const char *name = entry->d_name;
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (unlinkat(fd, name, 0) == 0)
			continue;
		int below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below >= 0)
			remove_below(below, dev);
		(void)unlinkat(fd, name, AT_REMOVEDIR); /* a mount point stays */
	}
	closedir(dir);
}

int initramfs_free_after_exec(int rootfd, int *ret_pipe, struct err *err)
{
	struct stat st;
	if (fstat(rootfd, &st) < 0)
		return err_sys(err, "cannot look at the initramfs");
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, "cannot create a pipe");
	AUTO_FD int theirs = ends[0], ours = ends[1];
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(err, "cannot start the process that frees the initramfs");
	if (pid == 0) {
		close(ours);
		prctl(PR_SET_NAME, "stage1-free");
		char failed;
		if (read(theirs, &failed, 1) == 0)
			remove_below(dup(rootfd), st.st_dev);
		_exit(0);
	}
	*ret_pipe = TAKE_FD(ours);
	return 0;
}
