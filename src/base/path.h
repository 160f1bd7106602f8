/* SPDX-License-Identifier: MIT */
#ifndef BASE_PATH_H
#define BASE_PATH_H

#include "base/err.h"

/* printf into memory that the caller owns; NULL with ERR_NOMEM. */
char *path_printf(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The part behind the last '/', within `path`. */
const char *path_basename(const char *path);
/* Creates a directory and its missing parents with mode 0777 less the umask; existing ones are
 * fine. */
int path_mkdirs(const char *path, struct err *err);

#endif
