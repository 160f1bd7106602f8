/* SPDX-License-Identifier: MIT */
#ifndef SERVE_PROFILE_MERGE_H
#define SERVE_PROFILE_MERGE_H

/* One order out of what several boots touched. Knows nothing of systems, files or who reported. */

#include "base/digest.h"
#include "base/vec.h"

typedef VEC(struct digest) profile_touches; /* chunks, in order */

/*
 * Appends to *out (vec_done() it also after a failure) the chunks of at most PROFILE_REPORTS lists
 * in the order of the median place that each has, once each; not those that fewer than half of
 * three or more lists have. ERR_NOMEM.
 */
int profile_merge(
	const profile_touches *reports, size_t count, profile_touches *out, struct err *err);

#endif
