/* SPDX-License-Identifier: MIT */
#ifndef HTTP_SPAN_H
#define HTTP_SPAN_H

/* A piece of a head that is being parsed: lines, words and numbers of it, without copies. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct span {
	const char *p;
	size_t len;
};

/* RFC 9110 section 5.6.2 */
static inline bool span_is_token(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
			(c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
			return false;
	}
	return s.len > 0;
}

/* True when it has a control character other than the tabulator. */
static inline bool span_has_control(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (((uint8_t)s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] == 0x7f)
			return true;
	return false;
}

/* Takes the next line off `rest`, without its line end; false when there is none that ends. */
static inline bool span_next_line(struct span *rest, struct span *ret)
{
	const char *lf = memchr(rest->p, '\n', rest->len);
	if (lf == NULL)
		return false;
	size_t len = (size_t)(lf - rest->p);
	*ret = (struct span){rest->p, len > 0 && lf[-1] == '\r' ? len - 1 : len};
	rest->p += len + 1;
	rest->len -= len + 1;
	return true;
}

/* Takes what stands before the next `sep` off `rest`, and the separator. */
static inline bool span_next_word(struct span *rest, char sep, struct span *ret)
{
	const char *end = memchr(rest->p, sep, rest->len);
	if (end == NULL)
		return false;
	*ret = (struct span){rest->p, (size_t)(end - rest->p)};
	rest->p = end + 1;
	rest->len -= ret->len + 1;
	return true;
}

static inline struct span span_trim(struct span s)
{
	while (s.len > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* In any case of letters. */
static inline bool span_is(struct span s, const char *word)
{
	return s.len == strlen(word) && strncasecmp(s.p, word, s.len) == 0;
}

/* True when the comma-separated list has `word`, in any case. */
static inline bool span_list_has(struct span list, const char *word)
{
	struct span item;
	for (bool more = true; more;) {
		more = span_next_word(&list, ',', &item);
		if (span_is(span_trim(more ? item : list), word))
			return true;
	}
	return false;
}

/* Decimal digits and nothing else, below 2^63. */
static inline bool span_number(struct span s, uint64_t *ret)
{
	uint64_t v = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9' || v > (UINT64_MAX / 2 - 9) / 10)
			return false;
		v = v * 10 + (uint64_t)(s.p[i] - '0');
	}
	*ret = v;
	return s.len > 0;
}

/*
 * The head of a message ends at the first empty line that is not before its first line: its length
 * with that line. Empty lines before are what RFC 9112, section 2.2, asks to tolerate.
 */
static inline bool span_head_end(struct span data, size_t *ret_len)
{
	struct span rest = data, line;
	bool begun = false;
	while (span_next_line(&rest, &line)) {
		if (begun && line.len == 0) {
			*ret_len = data.len - rest.len;
			return true;
		}
		begun = begun || line.len > 0;
	}
	return false;
}

#endif
