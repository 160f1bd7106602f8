/* SPDX-License-Identifier: MIT */
/*
 * Reading a system's files below its root. Symlink farms (firmware, kernel-modules of several
 * packages) point to other store paths by absolute names, which plain open() would follow into this
 * machine's own store.
 */
#include "carrier/in_root.h"

#include "base/fd.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int in_root_open_root(const char *store_dir, const char *real_dir, int *ret_fd, struct err *err)
{
	size_t store_len = strlen(store_dir), real_len = strlen(real_dir);
	if (real_len < store_len || strcmp(real_dir + real_len - store_len, store_dir) != 0)
		return err_raise(
			err, ERR_USAGE, "'%s' does not end with '%s'", real_dir, store_dir);
	AUTO_FREE char *root = path_printf(err, "%.*s/", (int)(real_len - store_len), real_dir);
	if (root == NULL)
		return -1;
	return fd_open(AT_FDCWD, root, O_PATH | O_DIRECTORY, ret_fd, err);
}

int in_root_open(int root, const char *path, int flags, int *ret_fd, struct err *err)
{
	struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC), .resolve = RESOLVE_IN_ROOT};
	long fd;
	do
		fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
	while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	if (fd < 0)
		return err_sys(err, "cannot open '%s'", path);
	*ret_fd = (int)fd;
	return 0;
}

int in_root_read(int root, const char *path, size_t max_bytes, struct buf *out, struct err *err)
{
	AUTO_FD int fd = -1;
	if (in_root_open(root, path, O_RDONLY, &fd, err) < 0)
		return -1;
	size_t start = out->len;
	for (;;) {
		size_t left = max_bytes - (out->len - start), got;
		size_t piece = left < 65536 ? left + 1 : 65536;
		uint8_t *at = buf_reserve(out, piece, err);
		if (at == NULL || fd_read_full(fd, at, piece, path, &got, err) < 0)
			return -1;
		out->len += got;
		if (out->len - start > max_bytes) {
			out->len = start;
			return err_raise(
				err, ERR_LIMIT, "'%s' is larger than %zu bytes", path, max_bytes);
		}
		if (got < piece)
			break;
	}
	return 0;
}

int in_root_try_read(int root, const char *path, size_t max_bytes, struct buf *out, struct err *err)
{
	struct err local = ERR_INIT;
	if (in_root_read(root, path, max_bytes, out, &local) == 0)
		return 1;
	if (local.kind == ERR_NOT_FOUND)
		return 0;
	*err = local;
	return -1;
}

char *in_root_path(int fd, struct err *err)
{
	AUTO_FREE char *link = path_printf(err, "/proc/self/fd/%d", fd);
	AUTO_FREE char *path = malloc(PATH_MAX);
	if (link == NULL || path == NULL) {
		if (err_clean(err))
			err_oom(err);
		return NULL;
	}
	ssize_t len = readlink(link, path, PATH_MAX - 1);
	if (len < 0) {
		err_sys(err, "cannot read '%s'", link);
		return NULL;
	}
	path[len] = '\0';
	return TAKE_PTR(path);
}
