/* SPDX-License-Identifier: MIT */
#ifndef PUBLISH_TRANSFER_H
#define PUBLISH_TRANSFER_H

/*
 * One HTTP request after the other, by libcurl: its proxies, TLS, netrc and AWS signatures. Blocks;
 * for the command line and threads, never for a server's or a node's loop.
 */

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Keys for AWS Signature Version 4, as object stores of every make take it. */
struct transfer_auth {
	char *key_id, *secret;
	char *token;  /* of a session, or NULL */
	char *region; /* "us-east-1" */
};

struct transfer;

/* `auth` (NULL: none) stays the caller's and outlives the transfer. */
int transfer_new(const struct transfer_auth *auth, struct transfer **ret, struct err *err);
struct transfer *transfer_free(struct transfer *transfer); /* NULL is fine; returns NULL */

struct transfer_request {
	const char *method; /* GET, HEAD, PUT, DELETE */
	const char *url;
	const void *body; /* PUT */
	uint64_t body_size;
	const char *content_type, *cache_control; /* PUT; or NULL */
	size_t max;                               /* bytes that the answer may have */
};

struct transfer_answer {
	long status;
	struct buf body;
	int64_t date; /* what the server says it is, seconds since 1970; 0: it does not */
};
#define AUTO_TRANSFER_ANSWER AUTO(transfer_answer_done) struct transfer_answer
void transfer_answer_done(struct transfer_answer *answer);

/*
 * Asks and waits. Any status is an answer, but 429 and 5xx are asked again, as is a connection that
 * fails, five times with growing pauses. ERR_IO names the URL; ERR_LIMIT for an answer that is too
 * large, ERR_USAGE for a URL that is none.
 */
int transfer_run(struct transfer *transfer, const struct transfer_request *request,
	struct transfer_answer *ret, struct err *err);

/* GET without keys: 200, or ERR_NOT_FOUND, ERR_IO with the status. ret_date may be NULL. */
int transfer_get(const char *url, size_t max, struct buf *out, int64_t *ret_date, struct err *err);

#endif
