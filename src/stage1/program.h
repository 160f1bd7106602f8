/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_PROGRAM_H
#define STAGE1_PROGRAM_H

#include "base/err.h"

#include <sys/types.h>

/*
 * Starts this program's own file once more, under `name` as its argv[0], with `control` and
 * `config` (which stay the caller's) as descriptors 3 and 4 and no other but the standard streams.
 * Works after the file was deleted, as long as /proc is there. ERR_IO; a failed exec ends the child
 * with 127.
 */
int program_start(const char *name, int control, int config, pid_t *ret_pid, struct err *err);

#endif
