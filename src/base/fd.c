/* SPDX-License-Identifier: MIT */
/* Whole reads, whole writes, whole files. */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void fd_close_ptr(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void fd_closedir_ptr(DIR **dir)
{
	if (*dir != NULL)
		closedir(*dir);
	*dir = NULL;
}

DIR *fd_opendir(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL && fd >= 0) {
		int errnum = errno;
		close(fd);
		errno = errnum;
	}
	return dir;
}

int fd_open(int dirfd, const char *path, int flags, int *ret_fd, struct err *err)
{
	int fd = openat(dirfd, path, flags | O_CLOEXEC, 0666);
	if (fd < 0)
		return err_sys(err, "cannot open '%s'", path);
	*ret_fd = fd;
	return 0;
}

/* At `off`, or at the file position when that is NULL. */
static int read_full(int fd, void *data, size_t size, const uint64_t *off, size_t *ret_len)
{
	size_t len = 0;
	while (len < size) {
		uint8_t *p = (uint8_t *)data + len;
		ssize_t n = off != NULL ? pread(fd, p, size - len, (off_t)(*off + len))
					: read(fd, p, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret_len = len;
	return 0;
}

int fd_read_full(
	int fd, void *data, size_t size, const char *what, size_t *ret_len, struct err *err)
{
	if (read_full(fd, data, size, NULL, ret_len) < 0)
		return err_sys(err, "cannot read '%s'", what);
	return 0;
}

int fd_pread_full(int fd, void *data, size_t size, uint64_t off, const char *what, size_t *ret_len,
	struct err *err)
{
	if (read_full(fd, data, size, &off, ret_len) < 0)
		return err_sys(err, "cannot read '%s'", what);
	return 0;
}

int fd_write_full(int fd, const void *data, size_t size, const char *what, struct err *err)
{
	const uint8_t *p = data;
	while (size > 0) {
		ssize_t n = write(fd, p, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "cannot write '%s'", what);
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

int fd_read_file(int dirfd, const char *path, size_t max_bytes, struct buf *out, struct err *err)
{
	AUTO_FD int fd = -1;
	if (fd_open(dirfd, path, O_RDONLY, &fd, err) < 0)
		return -1;
	size_t start = out->len;
	for (;;) {
		size_t step = 64 * 1024, len;
		uint8_t *p = buf_reserve(out, step, err);
		if (p == NULL)
			return err_prefix(err, "cannot read '%s'", path);
		if (fd_read_full(fd, p, step, path, &len, err) < 0)
			return -1;
		out->len += len;
		if (out->len - start > max_bytes)
			return err_raise(
				err, ERR_LIMIT, "'%s' is larger than %zu bytes", path, max_bytes);
		if (len < step)
			return 0;
	}
}

int fd_read_line_file(int dirfd, const char *path, char **ret_str, struct err *err)
{
	AUTO_BUF text = {0};
	if (fd_read_file(dirfd, path, 1 << 20, &text, err) < 0)
		return -1;
	while (text.len > 0 && text.data[text.len - 1] == '\n')
		text.len--;
	char *str = buf_take_str(&text, err);
	if (str == NULL)
		return -1;
	*ret_str = str;
	return 0;
}

static int copy_by_hand(
	int src, uint64_t off, uint64_t size, int dst, const char *what, struct err *err)
{
	size_t step = 1 << 20;
	AUTO_FREE uint8_t *data = malloc(step);
	if (data == NULL)
		return err_oom(err);
	while (size > 0) {
		size_t want = size < step ? (size_t)size : step, len;
		if (fd_pread_full(src, data, want, off, what, &len, err) < 0)
			return -1;
		if (len < want)
			return err_raise(err, ERR_CORRUPT,
				"'%s' ends at %llu bytes, %llu are missing", what,
				(unsigned long long)(off + len), (unsigned long long)(size - len));
		if (fd_write_full(dst, data, len, "output", err) < 0)
			return -1;
		off += len;
		size -= len;
	}
	return 0;
}

int fd_copy(int src, uint64_t off, uint64_t size, int dst, const char *what, struct err *err)
{
	while (size > 0) {
		off_t from = (off_t)off;
		size_t step = size < (1u << 30) ? (size_t)size : 1u << 30;
		ssize_t n = copy_file_range(src, &from, dst, NULL, step, 0);
		if (n < 0 && errno == EINTR)
			continue;
		/* Not a regular file, another file system on an old kernel, append mode: the slow
		 * way. */
		if (n <= 0)
			return copy_by_hand(src, off, size, dst, what, err);
		off += (uint64_t)n;
		size -= (uint64_t)n;
	}
	return 0;
}
