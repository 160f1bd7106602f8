/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_PROGRAM_H
#define STAGE1_PROGRAM_H

#include "base/err.h"

#include <sys/types.h>

#define PROGRAM_FDS 3

/*
 * Starts this program's own file once more, under `name` as its argv[0], with fds[0] … (which stay
 * the caller's; -1: none) as descriptors 3, 4 and 5, and no others but the standard streams. Works
 * after the file was deleted, as long as /proc is there, which is not needed any more when this
 * returns. ERR_IO; a failed exec ends the child with 127.
 */
int program_start(const char *name, const int fds[PROGRAM_FDS], pid_t *ret_pid, struct err *err);

#endif
