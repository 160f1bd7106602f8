/* SPDX-License-Identifier: MIT */
#ifndef TESTS_FUZZ_TARGET_H
#define TESTS_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

/* What libFuzzer calls: returns 0, or dies where it found a fault. `data` is exactly `size` bytes
 * of heap. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
