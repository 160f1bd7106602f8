/* SPDX-License-Identifier: MIT */
#ifndef BASE_FD_H
#define BASE_FD_H

/* File descriptors: owned locals, and reads and writes that do not stop half-way. */

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#include <dirent.h>
#include <stdint.h>
#include <sys/types.h>

/* AUTO_FD int fd = -1; closes fd when it goes out of scope. */
void fd_close_ptr(int *fd);
#define AUTO_FD __attribute__((cleanup(fd_close_ptr)))

#define TAKE_FD(fd) \
	({ \
		int take_fd_ = (fd); \
		(fd) = -1; \
		take_fd_; \
	})

/* AUTO_DIR *dir = fd_opendir(AT_FDCWD, path); closes dir when it goes out of scope. */
void fd_closedir_ptr(DIR **dir);
#define AUTO_DIR AUTO(fd_closedir_ptr) DIR
/* Opens a directory close-on-exec, to be read from its start; NULL with errno. */
DIR *fd_opendir(int dirfd, const char *path);

/*
 * Opens `path` (relative to dirfd, or AT_FDCWD) close-on-exec. Returns 0 and *ret_fd, which the
 * caller owns. The message is "cannot open '<path>': <cause>".
 */
int fd_open(int dirfd, const char *path, int flags, int *ret_fd, struct err *err);

/* Reads up to `size` bytes, less only at the end of the file. `what` names the source in the
 * message. */
int fd_read_full(
	int fd, void *data, size_t size, const char *what, size_t *ret_len, struct err *err);
/* As fd_read_full() at offset `off`. */
int fd_pread_full(int fd, void *data, size_t size, uint64_t off, const char *what, size_t *ret_len,
	struct err *err);
/* Writes everything. */
int fd_write_full(int fd, const void *data, size_t size, const char *what, struct err *err);

/*
 * Appends a whole file to `out`; ERR_LIMIT when it is larger than max_bytes. Works for files whose
 * size is not known beforehand (procfs, sysfs).
 */
int fd_read_file(int dirfd, const char *path, size_t max_bytes, struct buf *out, struct err *err);
/* As fd_read_file(), into a string without its trailing newlines, which the caller owns. */
int fd_read_line_file(int dirfd, const char *path, char **ret_str, struct err *err);

/*
 * Copies `size` bytes from src at `off` to dst's file position. Shares blocks by copy_file_range
 * where the file systems can (Linux 5.3 on across file systems), else reads and writes.
 */
int fd_copy(int src, uint64_t off, uint64_t size, int dst, const char *what, struct err *err);

#endif
