/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_KMSG_H
#define STAGE1_KMSG_H

#include "base/log.h"

/* A log sink: writes "snowboot: <line>" to the kernel log; to stderr while /dev/kmsg is not there.
 */
void kmsg_sink(enum log_level level, const char *line, void *data);

#endif
