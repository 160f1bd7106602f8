/* SPDX-License-Identifier: MIT */
/* Files that appear whole or not at all. */
#include "base/outfile.h"

#include "base/fd.h"
#include "base/path.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
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

int outfile_open(struct outfile *out, const char *path, struct err *err)
{
	*out = (struct outfile)OUTFILE_INIT;
	if (check_place(path, err) < 0)
		return -1;
	out->path = strdup(path);
	out->temp = path_printf(err, "%s.tmp-XXXXXX", path);
	if (out->path == NULL || out->temp == NULL) {
		outfile_done(out);
		return err_clean(err) ? err_oom(err) : -1;
	}
	out->fd = mkostemp(out->temp, O_CLOEXEC);
	if (out->fd < 0) {
		err_sys(err, "cannot create '%s'", path);
		free(TAKE_PTR(out->temp));
		outfile_done(out);
		return -1;
	}
	/* mkostemp makes it 0600; a result belongs to everybody the umask allows. */
	(void)fchmod(out->fd, 0666 & ~current_umask());
	return 0;
}

static int sync_directory_of(const char *path, struct err *err)
{
	AUTO_FREE char *dir = strdup(path);
	if (dir == NULL)
		return err_oom(err);
	char *slash = strrchr(dir, '/');
	if (slash != NULL)
		slash[slash == dir ? 1 : 0] = '\0';
	AUTO_FD int fd = -1;
	if (fd_open(AT_FDCWD, slash != NULL ? dir : ".", O_RDONLY | O_DIRECTORY, &fd, err) < 0)
		return -1;
	if (fsync(fd) < 0)
		return err_sys(err, "cannot sync the directory of '%s'", path);
	return 0;
}

int outfile_commit(struct outfile *out, struct err *err)
{
	if (fsync(out->fd) < 0)
		return err_sys(err, "cannot write '%s'", out->path);
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
