/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_SYSFILE_H
#define STAGE1_SYSFILE_H

/* Small files of procfs, sysfs and configuration: read whole, written in one write(). */

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Writes `text` in one write(), which is what attributes of the kernel need. */
int sysfile_write(const char *path, const char *text, struct err *err);
/* Reads a file into a string that the caller owns, without trailing newlines; NULL when it cannot
 * be read. */
char *sysfile_read(const char *path);
/* Reads a decimal number; false when there is none. */
bool sysfile_read_u64(const char *path, uint64_t *ret);
bool sysfile_exists(const char *path);
/* Creates or replaces a symlink. */
int sysfile_symlink(const char *target, const char *path, struct err *err);
/* Creates a directory with exactly that mode; an existing one is fine and gets the mode. */
int sysfile_mkdir(const char *path, unsigned mode, struct err *err);

#endif
