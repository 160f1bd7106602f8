/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_HANDOVER_H
#define STAGE1_HANDOVER_H

/* The end of stage 1: the system's own PID 1 takes over, as its kind expects it. */

#include "base/err.h"
#include "plan/plan.h"
#include "stage1/init.h"
#include "stage1/modules.h"

#include <stdbool.h>

struct handover {
	const struct plan *plan;
	const struct init *init;
	struct modules *modules;
	bool etc_writable;
	char *const *args; /* what the kernel gave us behind our own name; ends with NULL */
};

/*
 * Everything that may fail and be tried again: activation by the kind, and the choice of the
 * program that is executed, which the caller owns.
 */
int handover_prepare(const struct handover *handover, char **ret_program, struct err *err);
/*
 * Makes the new root "/" and executes the program as PID 1; the initramfs is freed then. Returns
 * only -1. There is no way back from most failures here: the mounts have moved.
 */
int handover_exec(const struct handover *handover, const char *program, struct err *err);

#endif
