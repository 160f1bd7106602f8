/* SPDX-License-Identifier: MIT */
#ifndef CARRIER_IN_ROOT_H
#define CARRIER_IN_ROOT_H

/*
 * Files of a store that may lie under another root ("/mnt"): store paths and absolute symlinks in
 * them are resolved below that root, as the booted system will see them (openat2, Linux 5.6).
 */

#include "base/buf.h"

/*
 * Opens the root under which `store_dir` is found at `real_dir` ("/" when they are the same).
 * ERR_USAGE when real_dir does not end with store_dir.
 */
int in_root_open_root(const char *store_dir, const char *real_dir, int *ret_fd, struct err *err);
/* Opens an absolute path below the root. The message is "cannot open '<path>': <cause>". */
int in_root_open(int root, const char *path, int flags, int *ret_fd, struct err *err);
/* Appends the whole contents. ERR_LIMIT beyond max_bytes. */
int in_root_read(int root, const char *path, size_t max_bytes, struct buf *out, struct err *err);
/* As in_root_read(): 1, or 0 when there is no such file. */
int in_root_try_read(
	int root, const char *path, size_t max_bytes, struct buf *out, struct err *err);

/* The file's name on this machine (not below the root); caller owns; NULL with an error. */
char *in_root_path(int fd, struct err *err);

#endif
