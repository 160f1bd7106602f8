/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_BOOTEND_H
#define STAGE1_BOOTEND_H

/*
 * What the node or the reporter hears of the boot's end (node/bootend.h, stage1/reporter.h): that
 * stage 1 hands over, from us, and that the system is up, from its systemd.
 */

#include "base/err.h"

/*
 * When `run`/snowboot/notify is there, gives systemd NOTIFY_SOCKET by a drop-in below
 * `run`/systemd/system.conf.d (systemd-system.conf(5): ManagerEnvironment=, systemd 248). `run` is
 * "/run" but for tests. ERR_IO and others when it
 * cannot be written, ERR_NOMEM.
 */
int bootend_prepare(const char *run, struct err *err);

/* Tells who listens there that the system's own init comes next; nobody does: nothing. ERR_IO and
 * others. */
int bootend_tell(const char *run, struct err *err);

#endif
