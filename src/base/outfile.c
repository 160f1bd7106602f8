/* SPDX-License-Identifier: MIT */
/*
 * Files that appear whole or not at all. While it is written a file has no name (O_TMPFILE), so a
 * process that is killed leaves nothing behind; where the file system has no such files, or one of
 * that name is replaced, there is a temporary name beside it, in the latter case from one system
 * call to the next.
 */
#include "base/outfile.h"

#include "base/fd.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static mode_t current_umask(void)
{
	mode_t mask = umask(0);
	umask(mask);
	return mask;
}

/* Asked before anything is written, which may take minutes. */
static int check_place(const char *path, struct err *err)
{
	struct stat st;
	if (stat(path, &st) < 0 || S_ISREG(st.st_mode))
		return 0;
	return err_raise(err, ERR_USAGE, "cannot replace '%s': it is %s", path,
		S_ISDIR(st.st_mode) ? "a directory" : "not a regular file");
}

static char *directory_of(const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash == path ? 1 : (size_t)(slash - path);
	return slash != NULL ? path_printf(err, "%.*s", (int)len, path) : path_printf(err, ".");
}

/* With a temporary name. */
static int open_named(struct outfile *out, struct err *err)
{
	out->temp = path_printf(err, "%s.tmp-XXXXXX", out->path);
	if (out->temp == NULL)
		return -1;
	out->fd = mkostemp(out->temp, O_CLOEXEC);
	if (out->fd < 0) {
		err_sys(err, "cannot create '%s'", out->path);
		free(TAKE_PTR(out->temp));
		return -1;
	}
	/* mkostemp makes it 0600; a result belongs to everybody the umask allows. */
	(void)fchmod(out->fd, 0666 & ~current_umask());
	return 0;
}

static int open_any(struct outfile *out, const char *path, struct err *err)
{
	out->path = strdup(path);
	if (out->path == NULL)
		return err_oom(err);
	AUTO_FREE char *dir = directory_of(path, err);
	if (dir == NULL)
		return -1;
	out->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
	return out->fd >= 0 ? 0 : open_named(out, err);
}

int outfile_open(struct outfile *out, const char *path, struct err *err)
{
	*out = (struct outfile)OUTFILE_INIT;
	if (check_place(path, err) == 0 && open_any(out, path, err) == 0)
		return 0;
	outfile_done(out);
	return -1;
}

static int sync_directory_of(const char *path, struct err *err)
{
	AUTO_FREE char *dir = directory_of(path, err);
	AUTO_FD int fd = -1;
	if (dir == NULL || fd_open(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, &fd, err) < 0)
		return -1;
	if (fsync(fd) < 0)
		return err_sys(err, "cannot sync the directory of '%s'", path);
	return 0;
}

/* Gives a file without a name one; -1 with errno. */
static int link_as(int fd, const char *path)
{
	char self[32];
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	/* The first needs CAP_DAC_READ_SEARCH, the second /proc (open(2), O_TMPFILE). */
	if (linkat(fd, "", AT_FDCWD, path, AT_EMPTY_PATH) == 0)
		return 0;
	return errno != ENOENT ? -1 : linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

/* A name beside the file that is there, which a rename then replaces. */
static int link_beside(struct outfile *out, struct err *err)
{
	uint32_t number;
	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return err_sys(err, "cannot get random bytes");
	AUTO_FREE char *temp = path_printf(err, "%s.tmp-%08x", out->path, number);
	if (temp == NULL)
		return -1;
	if (link_as(out->fd, temp) < 0)
		return err_sys(err, "cannot create '%s'", out->path);
	out->temp = TAKE_PTR(temp);
	return 0;
}

int outfile_commit(struct outfile *out, struct err *err)
{
	if (fsync(out->fd) < 0)
		return err_sys(err, "cannot write '%s'", out->path);
	if (out->temp == NULL && link_as(out->fd, out->path) == 0)
		return sync_directory_of(out->path, err);
	if (out->temp == NULL && errno != EEXIST)
		return err_sys(err, "cannot create '%s'", out->path);
	if (out->temp == NULL && link_beside(out, err) < 0)
		return -1;
	fd_close_ptr(&out->fd);
	if (rename(out->temp, out->path) < 0)
		return err_sys(err, "cannot rename to '%s'", out->path);
	free(TAKE_PTR(out->temp));
	return sync_directory_of(out->path, err);
}

void outfile_done(struct outfile *out)
{
	fd_close_ptr(&out->fd);
	if (out->temp != NULL)
		(void)unlink(out->temp);
	free(TAKE_PTR(out->temp));
	free(TAKE_PTR(out->path));
}

int outfile_write(const char *path, const void *data, size_t size, struct err *err)
{
	AUTO_OUTFILE out = OUTFILE_INIT;
	if (outfile_open(&out, path, err) < 0)
		return -1;
	if (fd_write_full(out.fd, data, size, path, err) < 0)
		return -1;
	return outfile_commit(&out, err);
}
