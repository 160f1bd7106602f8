/* SPDX-License-Identifier: MIT */
#ifndef CARRIER_SYSTEM_PLAN_H
#define CARRIER_SYSTEM_PLAN_H

/* The hand-over plan of a system on a carrier. */

#include "carrier/root.h"
#include "plan/plan.h"
#include "system/system.h"

/* Where stage 1 finds things, and what it has to check. */
struct system_plan_place {
	const char *image, *database;
	bool verified; /* who brings the image checks every byte: only the metadata are listed */
};

/* What stage 1 has to do for this system and root. ERR_NOMEM. */
int system_plan(const struct system *system, const struct root *root,
	const struct system_plan_place *place, struct plan *ret, struct err *err);

#endif
