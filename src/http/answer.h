/* SPDX-License-Identifier: MIT */
#ifndef HTTP_ANSWER_H
#define HTTP_ANSWER_H

/* The head of an answer (RFC 9112), parsed from bytes that anybody may send. */

#include "base/mem.h"
#include "http/client.h"
#include "http/request.h"

/* How the end of the body is known: RFC 9112, section 6.3. */
enum http_framing { HTTP_FRAMING_LENGTH, HTTP_FRAMING_CHUNKED, HTTP_FRAMING_CLOSE };

struct http_answer_head {
	struct http_answer answer; /* etag points to ours */
	enum http_framing framing;
	uint64_t content_len; /* HTTP_FRAMING_LENGTH: bytes that follow */
	bool keep_alive;
	bool ranged;           /* has a Content-Range that says where the bytes are */
	char *etag, *location; /* or NULL */
};

#define AUTO_HTTP_ANSWER_HEAD AUTO(http_answer_head_done) struct http_answer_head

void http_answer_head_done(struct http_answer_head *head);

/*
 * Parses the head at the start of `data`: 1, *ret (which the caller owns) and its length; 0 when it
 * does not end within `len` bytes yet. Informational answers (1xx) are heads of their own.
 * ERR_CORRUPT for what is no HTTP, or contradicts itself; ERR_LIMIT when it is larger than
 * HTTP_HEAD_MAX; ERR_UNSUPPORTED for another version or a coding that was not asked for.
 */
int http_answer_parse(const char *data, size_t len, struct http_answer_head *ret, size_t *ret_len,
	struct err *err);

/*
 * Holds what came to what was asked: `len` bytes from `off` (0: to the end; with off 0, no range
 * at all), and completes answer.off and answer.len. ERR_CORRUPT when the part is another one.
 */
int http_answer_match(struct http_answer_head *head, uint64_t off, uint64_t len, struct err *err);

/* Seconds since 1970 of "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, section 5.6.7), or 0. */
int64_t http_date_parse(const char *text, size_t len);

#endif
