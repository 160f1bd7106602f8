/* SPDX-License-Identifier: MIT */
#ifndef SERVE_SCRIPT_H
#define SERVE_SCRIPT_H

/* The script that iPXE runs. */

#include "base/buf.h"

/*
 * Appends the script that boots the system served as /boot/<name>/ with this kernel command line.
 * ERR_UNSUPPORTED for a command line that iPXE would not pass on as it is.
 */
int script_put(const char *name, const char *cmdline, struct buf *out, struct err *err);

#endif
