/* SPDX-License-Identifier: MIT */
#ifndef CACHE_PINS_H
#define CACHE_PINS_H

/* The digests that stay as long as there is anything else to evict: a sorted array, borrowed. */

#include "base/digest.h"

#include <string.h>

/* What the disk's index keeps of a digest. A false match costs a read that is found wrong. */
#define CACHE_KEY_SIZE 16

struct cache_pins {
	const struct digest *sorted;
	size_t count;
};

/* True when a digest with this key is pinned. */
static inline bool cache_pins_has(const struct cache_pins *pins, const uint8_t key[CACHE_KEY_SIZE])
{
	size_t low = 0, high = pins->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = memcmp(pins->sorted[middle].bytes, key, CACHE_KEY_SIZE);
		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

#endif
