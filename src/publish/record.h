/* SPDX-License-Identifier: MIT */
#ifndef PUBLISH_RECORD_H
#define PUBLISH_RECORD_H

/*
 * v1/published/NAME: which files the manifest NAME needs, one name a line, sorted. Written before
 * what it speaks of is switched to, and read by gc, which would have to fetch every tree otherwise.
 */

#include "publish/target.h"

#define RECORD_FOLDER "v1/published/"

/* 1 and the names, or 0 when there is no record. ERR_CORRUPT. */
int record_read(struct target *target, const char *name, struct strvec *ret, struct err *err);
/* Sorts the names and writes them, each once. */
int record_write(struct target *target, const char *name, struct strvec *files, struct err *err);

#endif
