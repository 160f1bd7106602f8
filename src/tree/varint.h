/* SPDX-License-Identifier: MIT */
#ifndef TREE_VARINT_H
#define TREE_VARINT_H

/* Unsigned LEB128: 7 bits a byte, least significant first; the high bit says that more follow. */

#include "base/buf.h"

#include <stdint.h>

#define VARINT_MAX_SIZE 10 /* bytes of the largest u64 */

const uint8_t *varint_get_long(const uint8_t *p, const uint8_t *end, uint64_t *ret);

/*
 * Reads one number at p: the place behind it, or NULL when it does not end before `end`, does not
 * fit, or is not in its shortest form.
 */
static inline const uint8_t *varint_get(const uint8_t *p, const uint8_t *end, uint64_t *ret)
{
	if (p < end && *p < 0x80) {
		*ret = *p;
		return p + 1;
	}
	return varint_get_long(p, end, ret);
}

/* Appends a number. Fails as buf_put(). */
int varint_put(struct buf *out, uint64_t value, struct err *err);

#endif
