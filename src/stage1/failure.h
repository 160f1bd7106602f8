/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_FAILURE_H
#define STAGE1_FAILURE_H

/*
 * Who sits in front of a machine that does not boot sees why; this process tells the server, which
 * somebody may look at who does not (/v1/failed). It gets an address by itself, whatever was there
 * before, and is gone with the next attempt.
 */

#include "base/err.h"
#include "stage1/cmdline.h"
#include "stage1/modules.h"

#include <sys/types.h>

#define FAILURE_NAME "@snowboot-failure"

/*
 * Starts it, if the command line or the initramfs names an origin: else there is nobody to tell,
 * and *ret_pid is 0. Drivers of network cards are somebody else's to load. ERR_IO, ERR_NOMEM,
 * ERR_USAGE for words that make no sense.
 */
int failure_start(const struct err *cause, const struct cmdline *cmdline, struct modules *modules,
	pid_t *ret_pid, struct err *err);
/* Waits until it told, or gave up, but not for long: the machine is about to be started again. */
void failure_wait(pid_t *pid);
/* Ends it. 0: there is none. */
void failure_stop(pid_t *pid);

/* main() under FAILURE_NAME. */
int failure_main(void);

#endif
