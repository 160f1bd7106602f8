/* SPDX-License-Identifier: MIT */
#ifndef HTTP_URL_H
#define HTTP_URL_H

/* http://HOST[:PORT][/PATH[?QUERY]], and nothing else that RFC 3986 allows. */

#include "base/err.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>

#define HTTP_URL_MAX 4096 /* bytes: a message of 1 KiB, each byte as %XX, finds room in one */

struct http_url {
	char *host;     /* name or address, without brackets */
	bool bracketed; /* an IPv6 address */
	uint16_t port;
	char *target; /* path and query as sent, begins with '/' */
};

#define AUTO_HTTP_URL AUTO(http_url_done) struct http_url

void http_url_done(struct http_url *url);

/* ERR_USAGE for what is no such URL, ERR_UNSUPPORTED for https. */
int http_url_parse(const char *text, struct http_url *ret, struct err *err);

/* Where a Location field leads from `base`: a URL, a path, or a path relative to the base's. */
int http_url_follow(
	const struct http_url *base, const char *location, struct http_url *ret, struct err *err);

#endif
