/* SPDX-License-Identifier: MIT */
/* A fuzz target as libFuzzer calls it, for whom good and bad inputs are the same. */
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)target_run(data, size);
	return 0;
}

/* Most inputs get past counts and checksums, and some meet them. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	size = LLVMFuzzerMutate(data, size, max_size);
	return target_mend != NULL && seed % 4 != 0 ? target_mend(data, size) : size;
}
