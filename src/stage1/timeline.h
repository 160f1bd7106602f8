/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_TIMELINE_H
#define STAGE1_TIMELINE_H

/* When each step of the boot began and ended, for the kernel log and /run/snowboot/boot.json. */

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

#define TIMELINE_STEPS_MAX 32

struct timeline_step {
	const char *name;          /* static storage */
	uint64_t begin_us, end_us; /* CLOCK_MONOTONIC: since about the kernel's start */
};

struct timeline {
	struct timeline_step steps[TIMELINE_STEPS_MAX];
	size_t len;
	unsigned attempt; /* 1 for the first */
};

/* Microseconds of CLOCK_MONOTONIC. */
uint64_t timeline_now_us(void);
/* Ends the step that runs, which goes to the log, and begins `name` (NULL: none). */
void timeline_begin(struct timeline *timeline, const char *name);
/* Forgets all steps, for another attempt. */
void timeline_restart(struct timeline *timeline);
/* Appends the JSON text; docs/internals/stage1.md has its form. ERR_NOMEM. */
int timeline_json(const struct timeline *timeline, const char *kind, const char *system,
	struct buf *out, struct err *err);

#endif
