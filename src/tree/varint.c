/* SPDX-License-Identifier: MIT */
/* Numbers of variable length. One value has one encoding, so that one tree has one digest. */
#include "tree/varint.h"

#include <stddef.h>

const uint8_t *varint_get_long(const uint8_t *p, const uint8_t *end, uint64_t *ret)
{
	uint64_t value = 0;
	for (unsigned shift = 0; p < end && shift < 64; shift += 7) {
		uint8_t byte = *p++;
		uint64_t bits = byte & 0x7f;
		if (shift == 63 && bits > 1)
			return NULL;
		value |= bits << shift;
		if (byte >= 0x80)
			continue;
		if (byte == 0 && shift > 0)
			return NULL;
		*ret = value;
		return p;
	}
	return NULL;
}

int varint_put(struct buf *out, uint64_t value, struct err *err)
{
	uint8_t *p = buf_reserve(out, VARINT_MAX_SIZE, err);
	if (p == NULL)
		return -1;
	size_t len = 0;
	for (; value >= 0x80; value >>= 7)
		p[len++] = (uint8_t)(value | 0x80);
	p[len++] = (uint8_t)value;
	out->len += len;
	return 0;
}
