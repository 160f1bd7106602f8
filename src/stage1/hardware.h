/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_HARDWARE_H
#define STAGE1_HARDWARE_H

/*
 * Drivers for the hardware, loaded in the background by a process of its own: it walks the devices
 * that are there, then follows the kernel's announcements. The boot goes on meanwhile.
 */

#include "base/err.h"
#include "stage1/modules.h"

#include <stdbool.h>
#include <sys/types.h>

struct hardware {
	pid_t pid;   /* 0: not running */
	int control; /* closing it asks the process to end; -1 when it does not run */
	int settled; /* readable when all devices of the first walk were dealt with */
};

#define HARDWARE_INIT \
	(struct hardware) \
	{ \
		.control = -1, .settled = -1 \
	}

/* Starts the process unless it runs. `modules` is copied into it by fork. */
int hardware_start(struct hardware *hardware, struct modules *modules, struct err *err);
/* Whether the first walk is done, or will be within wait_ms. */
bool hardware_is_settled(const struct hardware *hardware, int wait_ms);
/* Waits until the first walk is done, at most timeout_ms. */
void hardware_settle(const struct hardware *hardware, int timeout_ms);
/* Asks it to end after the module it is loading. */
void hardware_stop(struct hardware *hardware);
/*
 * Waits for a stopped process to end, at most timeout_ms. A driver that takes longer is left to
 * itself: it must not be killed while it initialises, and the hand-over does not wait for it.
 */
void hardware_join(struct hardware *hardware, int timeout_ms);

#endif
