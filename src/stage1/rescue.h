/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_RESCUE_H
#define STAGE1_RESCUE_H

#include "base/err.h"
#include "stage1/cmdline.h"
#include "stage1/modules.h"

/*
 * Shows on every console why the boot failed, and offers to retry, reboot or power off, and a shell
 * with boot.shell_on_fail unless Secure Boot is on. Returns when the user wants to retry. With
 * boot.panic_on_fail or stage1panic it crashes the kernel instead, which reboots by its panic=.
 */
/* Whether it will do that. */
bool rescue_crashes(const struct cmdline *cmdline);
void rescue(const struct err *cause, const struct cmdline *cmdline, struct modules *modules);

#endif
