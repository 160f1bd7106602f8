/* SPDX-License-Identifier: MIT */
#ifndef SERVE_DISPATCH_H
#define SERVE_DISPATCH_H

/*
 * Systems by name, as nix-netboot-serve has them: /dispatch/profile/NAME, /dispatch/configuration/
 * NAME, /dispatch/hydra/HOST/PROJECT/JOBSET/JOB. Each answers with a redirect to the script of the
 * system; the latter two have Nix make it first.
 */

#include "base/vec.h"

struct origin;
struct http_exchange;
struct route;
struct request;
struct dispatch;

/* The strings are borrowed. */
struct dispatch_options {
	const char *profiles;       /* directory of profiles, or NULL */
	const char *configurations; /* directory of NAME/default.nix, or NULL */
	struct strvec hydra;        /* servers that may be asked: [https://]HOST, or http://HOST */
	const char *state_dir;      /* with the latter two: results and logs */
};

/* ERR_USAGE for a server that is none, ERR_NOT_FOUND and others for a directory that cannot be
 * read. */
int dispatch_new(const struct dispatch_options *options, struct dispatch **ret, struct err *err);
/* Ends what runs. NULL is fine; returns NULL. */
struct dispatch *dispatch_free(struct dispatch *dispatch);

/* Answers a request for ROUTE_DISPATCH, now or when it is made. */
void dispatch_reply(
	struct origin *origin, struct http_exchange *exchange, const struct route *route);
/* The request waited for long enough: it is told to come again. */
void dispatch_tell(struct request *request);

/* A text to come again after: a person reads it on iPXE's console, or a program sees the status. */
void dispatch_answer(
	struct http_exchange *exchange, int status, const char *text, unsigned seconds);
#define DISPATCH_HOLD_US ((uint64_t)20 * 1000000) /* proxies cut requests that take 60 s */
#define DISPATCH_AGAIN_SECONDS 5

#endif
