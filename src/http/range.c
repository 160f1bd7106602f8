/* SPDX-License-Identifier: MIT */
/* Ranges and entity tags as pure functions of their texts. */
#include "http/range.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Reads digits at *p: 1, 0 when there are none; a number that is too large becomes the largest. */
static bool read_number(const char **p, uint64_t *ret)
{
	const char *start = *p;
	uint64_t v = 0;
	for (; **p >= '0' && **p <= '9'; (*p)++) {
		uint64_t digit = (uint64_t)(**p - '0');
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v))
			v = UINT64_MAX;
	}
	*ret = v;
	return *p != start;
}

enum http_range_result http_range_parse(
	const char *value, uint64_t size, uint64_t *ret_off, uint64_t *ret_len)
{
	if (value == NULL || strncasecmp(value, "bytes=", 6) != 0)
		return HTTP_RANGE_WHOLE;
	const char *p = value + 6;
	uint64_t first, last;
	bool has_first = read_number(&p, &first);
	if (*p++ != '-')
		return HTTP_RANGE_WHOLE;
	bool has_last = read_number(&p, &last);
	if (*p != '\0' || (!has_first && !has_last) || (has_first && has_last && last < first))
		return HTTP_RANGE_WHOLE;
	if (!has_first) { /* the last so many bytes */
		if (last == 0 || size == 0)
			return HTTP_RANGE_UNSATISFIABLE;
		*ret_len = last < size ? last : size;
		*ret_off = size - *ret_len;
		return HTTP_RANGE_PART;
	}
	if (first >= size)
		return HTTP_RANGE_UNSATISFIABLE;
	*ret_off = first;
	*ret_len = (has_last && last < size - 1 ? last : size - 1) - first + 1;
	return HTTP_RANGE_PART;
}

bool http_etag_listed(const char *list, const char *etag)
{
	const char *p = list + strspn(list, " \t");
	if (strcmp(p, "*") == 0)
		return true;
	size_t len = strlen(etag);
	while (*p != '\0') {
		p += strspn(p, " \t,");
		if (strncmp(p, "W/", 2) == 0)
			p += 2;
		if (*p != '"')
			return false;
		const char *end = strchr(p + 1, '"');
		if (end == NULL)
			return false;
		if ((size_t)(end + 1 - p) == len && strncmp(p, etag, len) == 0)
			return true;
		p = end + 1;
		p += strspn(p, " \t");
	}
	return false;
}

bool http_if_range_holds(const char *value, const char *etag)
{
	return etag != NULL && strcmp(value, etag) == 0;
}
