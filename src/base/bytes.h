/* SPDX-License-Identifier: MIT */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

/* Little- and big-endian integers in byte arrays, so that no buffer is ever cast to a struct. */

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define BYTES_INT(bits, order) \
	static inline void put_##order##bits(uint8_t *p, uint##bits##_t v) \
	{ \
		v = hto##order##bits(v); \
		memcpy(p, &v, sizeof(v)); \
	} \
	static inline uint##bits##_t get_##order##bits(const uint8_t *p) \
	{ \
		uint##bits##_t v; \
		memcpy(&v, p, sizeof(v)); \
		return order##bits##toh(v); \
	}

BYTES_INT(16, le)
BYTES_INT(32, le)
BYTES_INT(64, le)
BYTES_INT(16, be)
BYTES_INT(32, be)
BYTES_INT(64, be)

#undef BYTES_INT

#endif
