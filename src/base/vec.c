/* SPDX-License-Identifier: MIT */
/* Growing arrays, and the one of strings that everything needs. */
#include "base/vec.h"

#include "base/buf.h"

#include <string.h>

int vec_grow(void **items, size_t *cap, size_t len, size_t size, struct err *err)
{
	size_t next = len < 8 ? 16 : len * 2;
	void *grown = reallocarray(*items, next, size);
	if (grown == NULL)
		return err_oom(err);
	*items = grown;
	*cap = next;
	return 0;
}

void strvec_done(struct strvec *vec)
{
	for (size_t i = 0; i < vec->len; i++)
		free(vec->items[i]);
	vec_done(vec);
}

int strvec_push_take(struct strvec *vec, char *take_str, struct err *err)
{
	if (take_str == NULL)
		return err_clean(err) ? err_oom(err) : -1;
	if (vec_push(vec, take_str, err) == 0)
		return 0;
	free(take_str);
	return -1;
}

int strvec_push(struct strvec *vec, const char *str, struct err *err)
{
	return strvec_push_take(vec, strdup(str), err);
}

int strvec_push_n(struct strvec *vec, const char *str, size_t len, struct err *err)
{
	return strvec_push_take(vec, strndup(str, len), err);
}

bool strvec_has(const struct strvec *vec, const char *str)
{
	for (size_t i = 0; i < vec->len; i++)
		if (strcmp(vec->items[i], str) == 0)
			return true;
	return false;
}

char *strvec_join(const struct strvec *vec, const char *sep, struct err *err)
{
	AUTO_BUF out = {0};
	for (size_t i = 0; i < vec->len; i++) {
		if (i > 0 && buf_put_str(&out, sep, err) < 0)
			return NULL;
		if (buf_put_str(&out, vec->items[i], err) < 0)
			return NULL;
	}
	return buf_take_str(&out, err);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void strvec_sort(struct strvec *vec)
{
	if (vec->len > 1)
		qsort(vec->items, vec->len, sizeof(*vec->items), compare);
}
