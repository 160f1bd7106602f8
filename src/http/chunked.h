/* SPDX-License-Identifier: MIT */
#ifndef HTTP_CHUNKED_H
#define HTTP_CHUNKED_H

/* The chunked transfer coding: RFC 9112, section 7.1. */

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_chunked {
	enum {
		HTTP_CHUNKED_SIZE,
		HTTP_CHUNKED_EXTENSION,
		HTTP_CHUNKED_DATA,
		HTTP_CHUNKED_DATA_END,
		HTTP_CHUNKED_TRAILER,
		HTTP_CHUNKED_ENDED,
	} state;
	uint64_t left;   /* bytes of the chunk that are to come; of its size, while that is read */
	unsigned digits; /* of the size */
	unsigned line;   /* bytes of the line: extension or trailer field */
	unsigned extra;  /* bytes that were no content, in a row: bounded */
};

/*
 * Takes from the input [*data, *data + *len) and moves it on: 1 and content that was in it (a part
 * of the input); 0 when the input is used up or the body ended (state HTTP_CHUNKED_ENDED, and what
 * is left belongs to the next answer). Zeroed memory is the beginning. ERR_CORRUPT.
 */
int http_chunked_next(struct http_chunked *chunked, const uint8_t **data, size_t *len,
	const uint8_t **ret_bytes, size_t *ret_len, struct err *err);

#endif
