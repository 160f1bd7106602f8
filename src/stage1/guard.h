/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_GUARD_H
#define STAGE1_GUARD_H

#include "base/err.h"

/*
 * What a process needs that serves the root it could itself depend on: a session of its own,
 * signals of a shutdown ignored, memory locked, no OOM killer, no reclaim through its own device,
 * /dev/null as its standard streams. Every such process calls it: memory locks are not inherited.
 * `name` is what `ps` shows (15 bytes). What the kernel refuses is logged and not fatal.
 */
void guard_process(const char *name);
/*
 * Gives the process mounts of its own: an empty root with /dev, /proc, /sys and /run in it, which
 * stay when stage 1 moves those away and empties the initramfs. ERR_IO.
 */
int guard_mounts(struct err *err);

#endif
