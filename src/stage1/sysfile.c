/* SPDX-License-Identifier: MIT */
/* Small files that the kernel or the initramfs offers, and the few we create. */
#include "stage1/sysfile.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int sysfile_write(const char *path, const char *text, struct err *err)
{
	AUTO_FD int fd = -1;
	if (fd_open(AT_FDCWD, path, O_WRONLY, &fd, err) < 0)
		return -1;
	if (write(fd, text, strlen(text)) < 0)
		return err_sys(err, "cannot write '%s' to '%s'", text, path);
	return 0;
}

char *sysfile_read(const char *path)
{
	struct err err = ERR_INIT;
	char *text = NULL;
	return fd_read_line_file(AT_FDCWD, path, &text, &err) == 0 ? text : NULL;
}

bool sysfile_read_u64(const char *path, uint64_t *ret)
{
	AUTO_FREE char *text = sysfile_read(path);
	if (text == NULL || text[0] < '0' || text[0] > '9')
		return false;
	*ret = strtoull(text, NULL, 10);
	return true;
}

bool sysfile_exists(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

int sysfile_symlink(const char *target, const char *path, struct err *err)
{
	if (symlink(target, path) == 0)
		return 0;
	if (errno == EEXIST && unlink(path) == 0 && symlink(target, path) == 0)
		return 0;
	return err_sys(err, "cannot create symlink '%s'", path);
}

int sysfile_mkdir(const char *path, unsigned mode, struct err *err)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return err_sys(err, "cannot create directory '%s'", path);
	if (chmod(path, mode) < 0)
		return err_sys(err, "cannot set the mode of '%s'", path);
	return 0;
}
