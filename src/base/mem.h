/* SPDX-License-Identifier: MIT */
#ifndef BASE_MEM_H
#define BASE_MEM_H

/* Ownership helpers: locals that clean up after themselves, and handing over. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

static inline void mem_free_ptr(void *p)
{
	free(*(void **)p);
}

/* AUTO_FREE char *p = NULL; frees p when it goes out of scope. */
#define AUTO_FREE __attribute__((cleanup(mem_free_ptr)))

/* AUTO(thing_done) struct thing t = {0}; calls thing_done(&t) when t goes out of scope. */
#define AUTO(done) __attribute__((cleanup(done)))

/* Hands a pointer over: yields its value and leaves NULL behind. */
#define TAKE_PTR(p) \
	({ \
		__typeof__(p) take_ptr_ = (p); \
		(p) = NULL; \
		take_ptr_; \
	})

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* *ret = a + b or a * b; false when that does not fit. For every size that comes from outside. */
static inline bool mem_add(uint64_t a, uint64_t b, uint64_t *ret)
{
	return !__builtin_add_overflow(a, b, ret);
}

static inline bool mem_mul(uint64_t a, uint64_t b, uint64_t *ret)
{
	return !__builtin_mul_overflow(a, b, ret);
}

/* v rounded up to a multiple of `align`, a power of two. v must be at most UINT64_MAX - align. */
static inline uint64_t mem_align(uint64_t v, uint64_t align)
{
	return (v + align - 1) & ~(align - 1);
}

#endif
