/* SPDX-License-Identifier: MIT */
#ifndef HTTP_QUERY_H
#define HTTP_QUERY_H

/* The query of a URL as forms write it: name=value&…, '+' for a blank, %XX for any byte. */

#include "base/buf.h"

/*
 * The decoded value of the first field `name`: 1 and *ret, which the caller owns, or 0 when there
 * is none. `query` is without its '?' and may be NULL. ERR_CORRUPT for a value with a broken escape
 * or a control character.
 */
int http_query_get(const char *query, const char *name, char **ret, struct err *err);

/* Appends `text` as a value: what is neither letter, digit nor one of -._~ as %XX. ERR_NOMEM. */
int http_query_put(const char *text, struct buf *out, struct err *err);

#endif
