/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_BOOTEND_H
#define STAGE1_BOOTEND_H

/*
 * Sees to it that the system's systemd says when it is up: to the node or to the reporter
 * (node/bootend.h, stage1/reporter.h).
 */

#include "base/err.h"

/*
 * When `run`/snowboot/notify is there, gives systemd NOTIFY_SOCKET by a drop-in below
 * `run`/systemd/system.conf.d (systemd-system.conf(5): ManagerEnvironment=, systemd 248). `run` is
 * "/run" but for tests. ERR_IO and others when it
 * cannot be written, ERR_NOMEM.
 */
int bootend_prepare(const char *run, struct err *err);

#endif
