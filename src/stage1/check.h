/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_CHECK_H
#define STAGE1_CHECK_H

/* Is the image what the plan says it is? */

#include "base/err.h"
#include "plan/plan.h"

enum check_level {
	CHECK_FULL,     /* every part */
	CHECK_METADATA, /* the parts of the file system itself, and the size */
	CHECK_NO,       /* the size */
};

/* Reads the value of snowboot.check=; NULL means full. ERR_USAGE. */
int check_level_parse(const char *text, enum check_level *ret, struct err *err);

/*
 * Compares the file's size and the SHA-256 of its parts with the plan, with one process for each
 * CPU. ERR_NOT_FOUND when the file is not there, ERR_CORRUPT names what is wrong, and the store
 * path whose data it hit.
 */
int check_image(const struct plan *plan, const char *file, enum check_level level, struct err *err);

#endif
