/* SPDX-License-Identifier: MIT */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

/* The head of an HTTP/1.x request (RFC 9110, RFC 9112), parsed from bytes that anybody may send. */

#include "base/err.h"
#include "base/mem.h"
#include "base/vec.h"

#include <stdbool.h>
#include <stddef.h>

#define HTTP_HEAD_MAX 16384 /* bytes of request line and header fields together */
#define HTTP_HEADERS_MAX 100

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_OTHER };

struct http_request {
	enum http_method method;
	bool keep_alive; /* what the client asked for, or its version implies */
	char *path;      /* percent-decoded, begins with '/', without the query */
	char *query;     /* as sent, without '?'; or NULL */
	/* Parallel: names in lower case, values without surrounding blanks. */
	struct strvec names, values;
};

#define AUTO_HTTP_REQUEST AUTO(http_request_done) struct http_request

void http_request_done(struct http_request *request);

/*
 * Parses the head at the start of `data`: 1, *ret (which the caller owns) and its length including
 * the empty line; 0 when it does not end within `len` bytes yet. ERR_CORRUPT for a malformed one,
 * ERR_LIMIT when it is larger than the limits above, ERR_UNSUPPORTED for another version of HTTP or
 * a request with a body. Size and request line are decided without waiting for the head's end.
 */
int http_request_parse(
	const char *data, size_t len, struct http_request *ret, size_t *ret_len, struct err *err);

/* The value of the first header field `name` (lower case), or NULL. */
const char *http_request_header(const struct http_request *request, const char *name);

/* True when one of the fields `name` (lower case) has `word` in its list, in any case. */
bool http_request_list_has(const struct http_request *request, const char *name, const char *word);

#endif
