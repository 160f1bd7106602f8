/* SPDX-License-Identifier: MIT */
/* A fuzz target as libFuzzer calls it, for whom good and bad inputs are the same. */
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)target_run(data, size);
	return 0;
}
