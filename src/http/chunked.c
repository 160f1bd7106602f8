/* SPDX-License-Identifier: MIT */
/*
 * Decodes the chunked coding byte by byte where it is structure and at once where it is content.
 * Extensions and trailer fields are skipped; how much of them a server may send is bounded.
 */
#include "http/chunked.h"

#define EXTRA_MAX 8192 /* bytes of structure between two bytes of content */

static int corrupt(struct err *err, const char *what)
{
	return err_raise(err, ERR_CORRUPT, "malformed chunked coding: %s", what);
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int take_size(struct http_chunked *k, uint8_t c, struct err *err)
{
	int digit = hex_digit(c);
	if (digit >= 0) {
		if (++k->digits > 15)
			return corrupt(err, "a size of more than 15 digits");
		k->left = k->left * 16 + (uint64_t)digit;
		return 0;
	}
	if (k->digits == 0)
		return corrupt(err, "no size");
	if (c != ';' && c != '\r' && c != '\n' && c != ' ' && c != '\t')
		return corrupt(err, "no hexadecimal size");
	k->state = HTTP_CHUNKED_EXTENSION;
	return 0;
}

static void end_size_line(struct http_chunked *k)
{
	k->state = k->left > 0 ? HTTP_CHUNKED_DATA : HTTP_CHUNKED_TRAILER;
	k->digits = 0;
	k->line = 0;
}

/* One byte that is no content. */
static int take_structure(struct http_chunked *k, uint8_t c, struct err *err)
{
	if (++k->extra > EXTRA_MAX)
		return corrupt(err, "endless extensions");
	switch (k->state) {
	case HTTP_CHUNKED_SIZE:
		if (take_size(k, c, err) < 0)
			return -1;
		if (c == '\n')
			end_size_line(k);
		return 0;
	case HTTP_CHUNKED_EXTENSION:
		if (c == '\n')
			end_size_line(k);
		return 0;
	case HTTP_CHUNKED_DATA_END:
		if (c == '\n')
			k->state = HTTP_CHUNKED_SIZE;
		else if (c != '\r')
			return corrupt(err, "a chunk is longer than its size");
		return 0;
	case HTTP_CHUNKED_TRAILER:
		if (c == '\n' && k->line == 0)
			k->state = HTTP_CHUNKED_ENDED;
		else if (c == '\n')
			k->line = 0;
		else if (c != '\r')
			k->line++;
		return 0;
	case HTTP_CHUNKED_DATA:
	case HTTP_CHUNKED_ENDED:
		break;
	}
	return err_raise(err, ERR_BUG, "content taken for structure");
}

int http_chunked_next(struct http_chunked *k, const uint8_t **data, size_t *len,
	const uint8_t **ret_bytes, size_t *ret_len, struct err *err)
{
	while (*len > 0 && k->state != HTTP_CHUNKED_ENDED) {
		if (k->state == HTTP_CHUNKED_DATA) {
			size_t n = *len < k->left ? *len : (size_t)k->left;
			*ret_bytes = *data;
			*ret_len = n;
			*data += n;
			*len -= n;
			k->left -= n;
			k->extra = 0;
			if (k->left == 0)
				k->state = HTTP_CHUNKED_DATA_END;
			return 1;
		}
		if (take_structure(k, **data, err) < 0)
			return -1;
		++*data;
		--*len;
	}
	return 0;
}
