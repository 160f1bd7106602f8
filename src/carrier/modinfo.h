/* SPDX-License-Identifier: MIT */
#ifndef CARRIER_MODINFO_H
#define CARRIER_MODINFO_H

/* The `.modinfo` section of a kernel module: strings of the form "key=value". */

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct modinfo {
	const char *text; /* in the module's bytes; ends with a NUL */
	size_t len;
};

/*
 * Finds the section in a module that is not compressed. A module without one gives an empty object.
 * ERR_CORRUPT when the bytes are not an ELF file. `elf` must stay as long as the object.
 */
int modinfo_read(const uint8_t *elf, size_t size, struct modinfo *ret, struct err *err);

/*
 * The first value of `key` ("firmware", "softdep", "depends", "alias") behind `previous`, or the
 * first of all when that is NULL; NULL when there are no more.
 */
const char *modinfo_value(const struct modinfo *info, const char *key, const char *previous);

#endif
