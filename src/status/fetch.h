/* SPDX-License-Identifier: MIT */
#ifndef STATUS_FETCH_H
#define STATUS_FETCH_H

/* One GET, for a command that waits for its answer: from an origin or a node, by TCP or by the unix
 * socket of a node. */

#include "base/buf.h"

/* Where from: exactly one of the two is set. */
struct status_source {
	const char *url;    /* "http://HOST[:PORT]" or "HOST[:PORT]"; port 8080 is the usual one */
	const char *socket; /* file name */
};

/*
 * Appends the body that answers GET `path`. ERR_NOT_FOUND for a 404 (the server's words are the
 * message) and for a host or socket that is not there, ERR_AGAIN when nobody listens or answers in
 * time, ERR_CORRUPT for what is no HTTP, ERR_IO for any other status, ERR_USAGE for a URL that is
 * none.
 */
int status_fetch(
	const struct status_source *source, const char *path, struct buf *out, struct err *err);

#endif
