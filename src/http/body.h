/* SPDX-License-Identifier: MIT */
#ifndef HTTP_BODY_H
#define HTTP_BODY_H

/*
 * What a server sends: bytes of known length that can be had from any offset, piece by piece. The
 * owner embeds struct http_body in an object of its own; references keep it alive while it is sent.
 */

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum http_piece_kind { HTTP_PIECE_MEMORY, HTTP_PIECE_FILE, HTTP_PIECE_ZERO };

/* A run of bytes; what it points to lives as long as the body. */
struct http_piece {
	enum http_piece_kind kind;
	uint64_t len;        /* bytes, at least 1 */
	const uint8_t *data; /* HTTP_PIECE_MEMORY */
	const char *path;    /* HTTP_PIECE_FILE: the same pointer for the same file */
	uint64_t file_off;   /* HTTP_PIECE_FILE */
};

struct http_body;

struct http_body_ops {
	/* The piece that begins at `off`, which is below the size. Never blocks, never fails. */
	void (*piece_at)(const struct http_body *body, uint64_t off, struct http_piece *ret);
	/* Gives a reference up. */
	void (*release)(struct http_body *body);
};

struct http_body {
	const struct http_body_ops *ops;
	uint64_t size;             /* bytes */
	const char *content_type;  /* NULL: application/octet-stream */
	const char *etag;          /* strong validator with its quotes, or NULL */
	const char *cache_control; /* value of that field, or NULL */
	const char *location;      /* where else to look (with 302), or NULL; read by the reply */
	unsigned retry_after;      /* seconds (with 503); 0: it does not say */
};

/* A body of its own copy of `len` bytes, with one reference; NULL with ERR_NOMEM. */
struct http_body *http_body_copy(
	const void *data, size_t len, const char *content_type, struct err *err);

static inline void http_body_release(struct http_body *body)
{
	if (body != NULL)
		body->ops->release(body);
}

#endif
