/* SPDX-License-Identifier: MIT */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

/* What is answered to a request when this body is what it asked for: status, part, head. */

#include "base/buf.h"
#include "http/body.h"
#include "http/request.h"

#include <time.h>

struct http_response {
	int status;
	uint64_t off, len; /* the part of the body that follows the head, bytes */
	bool keep_alive;
};

/*
 * Decides for a body that was found (status 200), or that explains a failure (any other status):
 * conditions, ranges and HEAD are looked at for 200 only, except that HEAD never gets a body.
 */
struct http_response http_response_decide(
	const struct http_request *request, int status, const struct http_body *body);

/* Appends the head to `out`, empty line included. `now` is for the Date field. ERR_NOMEM. */
int http_response_head(const struct http_response *response, const struct http_body *body,
	time_t now, struct buf *out, struct err *err);

/* "Not Found" for 404; "Unknown" for a status that we never send. */
const char *http_status_text(int status);

/* Appends the head of a 200 with a body that ends with its connection. ERR_NOMEM. */
int http_response_stream_head(const char *type, time_t now, struct buf *out, struct err *err);

#endif
