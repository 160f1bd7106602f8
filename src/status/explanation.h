/* SPDX-License-Identifier: MIT */
#ifndef STATUS_EXPLANATION_H
#define STATUS_EXPLANATION_H

/* What /v1/explain of an origin answers, as text for people. */

#include "base/buf.h"

/*
 * Appends the text. 1 when the machine would boot something; 0 when not, with why in *ret_failure.
 * ERR_CORRUPT when it is no such JSON.
 */
int explanation_put(
	const void *json, size_t size, struct buf *out, struct err *ret_failure, struct err *err);

#endif
