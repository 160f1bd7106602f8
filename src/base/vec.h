/* SPDX-License-Identifier: MIT */
#ifndef BASE_VEC_H
#define BASE_VEC_H

/*
 * A typed growing array: VEC(struct extent) list = {0}; list.items[i], list.len. Zeroed memory is
 * empty. The vector owns its array, not what the items point to.
 */

#include "base/err.h"
#include "base/mem.h"

#include <stddef.h>

#define VEC(type) \
	struct { \
		type *items; \
		size_t len; \
		size_t cap; \
	}

/* Grows *items to hold len + 1 items of `size` bytes. Fails with ERR_NOMEM. */
int vec_grow(void **items, size_t *cap, size_t len, size_t size, struct err *err);

/* Appends a copy of `item`: 0, or -1 with ERR_NOMEM. */
#define vec_push(vec, item, err) \
	({ \
		int vec_r_ = 0; \
		if ((vec)->len == (vec)->cap) \
			vec_r_ = vec_grow((void **)&(vec)->items, &(vec)->cap, (vec)->len, \
				sizeof(*(vec)->items), (err)); \
		if (vec_r_ == 0) \
			(vec)->items[(vec)->len++] = (item); \
		vec_r_; \
	})

#define vec_done(vec) \
	do { \
		free((vec)->items); \
		(vec)->items = NULL; \
		(vec)->len = (vec)->cap = 0; \
	} while (0)

#define VEC_FOREACH(it, vec) \
	for (__typeof__((vec)->items + 0) it = (vec)->items; \
		it != NULL && it != (vec)->items + (vec)->len; it++)

/* A vector of strings that it owns. */
struct strvec {
	char **items;
	size_t len;
	size_t cap;
};

#define AUTO_STRVEC AUTO(strvec_done) struct strvec

void strvec_done(struct strvec *vec);
/* Appends a copy. Fails with ERR_NOMEM. */
int strvec_push(struct strvec *vec, const char *str, struct err *err);
int strvec_push_n(struct strvec *vec, const char *str, size_t len, struct err *err);
/* Appends a string that the vector then owns, also on failure. */
int strvec_push_take(struct strvec *vec, char *take_str, struct err *err);
/* True when one of the strings equals str. */
bool strvec_has(const struct strvec *vec, const char *str);
/* Joins with `sep` between; caller owns the result; NULL with ERR_NOMEM. */
char *strvec_join(const struct strvec *vec, const char *sep, struct err *err);
/* Sorts by bytes. */
void strvec_sort(struct strvec *vec);

#endif
