/* SPDX-License-Identifier: MIT */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

/*
 * An HTTP/1.1 client on one event loop: GETs with ranges over kept connections, bodies handed on
 * while they arrive, every wait with a deadline. Names are resolved by evdns from what resolv.conf
 * said when the client was made, never by NSS.
 */

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct http_client;
struct http_get; /* one request under way */

struct http_client_limits {
	unsigned connect_ms;
	unsigned first_byte_ms; /* from the request to the answer's first byte */
	unsigned stall_ms;      /* without a byte */
	unsigned per_host;      /* connections at once to one host and port */
	unsigned idle_ms;       /* how long an idle connection is kept */
};

#define HTTP_CLIENT_LIMITS_DEFAULT \
	((struct http_client_limits){.connect_ms = 2000, \
		.first_byte_ms = 10000, \
		.stall_ms = 10000, \
		.per_host = 16, \
		.idle_ms = 30000})

struct http_answer {
	int status;
	uint64_t off;  /* of the first byte in the whole: 0 for 200, from Content-Range for 206 */
	uint64_t len;  /* bytes that follow; UINT64_MAX when the server did not say */
	uint64_t size; /* of the whole; UINT64_MAX when unknown */
	int64_t date;  /* the Date field, seconds since 1970; 0 without one */
	unsigned retry_s; /* Retry-After in seconds; 0 without one */
	const char *etag; /* or NULL; as long as the callback runs */
};

struct http_get_ops {
	/* The head came. -1 with *err ends the request with that failure. */
	int (*head)(struct http_get *get, const struct http_answer *answer, void *data,
		struct err *err);
	/* Bytes of the body, in order. -1 with *err ends the request. */
	int (*body)(
		struct http_get *get, const void *bytes, size_t len, void *data, struct err *err);
	/* It ended: failure is NULL when all bytes came. The request is gone when this returns. */
	void (*done)(struct http_get *get, const struct err *failure, void *data);
};

struct http_get_params {
	const char *url; /* http://HOST[:PORT]/PATH; HOST a name, an IPv4 or [IPv6] address */
	uint64_t off;    /* range; len 0: from off to the end, and with off 0 no Range at all */
	uint64_t len;
	const char *if_none_match; /* or NULL */
	/* Goes before those that are not. They leave a place free for it where there is more than
	 * one. */
	bool urgent;
	unsigned first_byte_ms; /* 0: the client's */
};

int http_client_new(struct event_base *base, const struct http_client_limits *limits,
	struct http_client **ret, struct err *err);
/*
 * Cancels what is under way without calling `done`. NULL is fine; returns NULL. May be called from
 * `done`, never from `head` or `body`.
 */
struct http_client *http_client_free(struct http_client *client);

/*
 * Begins a GET; no callback runs before the loop does. Redirects (301, 302, 303, 307, 308) are
 * followed, at most five, on http only. Any final status reaches `head`; `done` tells ERR_AGAIN for
 * what may work later (refused, timeout, cut off), ERR_CORRUPT for an answer that is no HTTP or
 * another part than was asked for, ERR_LIMIT for an endless head or chain of redirects,
 * ERR_UNSUPPORTED for https and codings that were not asked for, ERR_NOT_FOUND for a name that does
 * not resolve; what `head` or `body` raised as it is. ERR_USAGE at once for a URL that is none.
 */
int http_client_get(struct http_client *client, const struct http_get_params *params,
	const struct http_get_ops *ops, void *data, struct http_get **ret, struct err *err);
/* Ends it without calling `done`; also from its own callbacks, where `done` makes it void. */
void http_get_cancel(struct http_get *get);

#endif
