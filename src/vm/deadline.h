/* SPDX-License-Identifier: MIT */
#ifndef VM_DEADLINE_H
#define VM_DEADLINE_H

/* A moment on the monotonic clock, so that a wait made of many steps ends when it was told to. */

#include <limits.h>
#include <stdint.h>
#include <time.h>

static inline uint64_t deadline_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with this clock */
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static inline uint64_t deadline_in(unsigned timeout_ms)
{
	return deadline_now_ms() + timeout_ms;
}

/* What is left, in the form poll() takes; 0 when it has passed. */
static inline int deadline_left_ms(uint64_t deadline)
{
	uint64_t now = deadline_now_ms();
	if (now >= deadline)
		return 0;
	return deadline - now > INT_MAX ? INT_MAX : (int)(deadline - now);
}

#endif
