/* SPDX-License-Identifier: MIT */
#ifndef TESTS_FUZZ_TARGET_H
#define TESTS_FUZZ_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/*
 * What each target defines: reads the input, `size` bytes of heap and not one more, and dies where
 * it finds a fault. True when the input is a good one, which the parser took to its end.
 */
bool target_run(const uint8_t *data, size_t size);

/*
 * What a target may define: puts the lengths, counts and checksums of a changed input right, in
 * place, so that it gets past them. Returns the new size, at most `size`.
 */
__attribute__((weak)) size_t target_mend(uint8_t *data, size_t size);

/* Otherwise there is a fault. */
static inline void expect(bool holds)
{
	if (!holds)
		abort();
}

#endif
