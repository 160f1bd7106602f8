/* SPDX-License-Identifier: MIT */
#ifndef SERVE_HYDRA_H
#define SERVE_HYDRA_H

/*
 * The latest build of a Hydra job. Hydra answers GET /job/PROJECT/JOBSET/JOB/latest, asked for
 * application/json, with the build, after a redirect (hydra-api.yaml, /job/…/latest).
 */

#include "base/err.h"

#include <stddef.h>

#define HYDRA_ANSWER_MAX ((size_t)1 << 20) /* bytes */

struct event_base;
struct hydra_query;

/* Called once, from the loop: the store path of output "out", or NULL and why. */
typedef void hydra_done_fn(const char *path, const struct err *failure, void *data);

/* Asks that URL, from a thread of its own. */
int hydra_ask(struct event_base *base, const char *url, hydra_done_fn *done, void *data,
	struct hydra_query **ret, struct err *err);
/* A question that still waits is left to its deadline. NULL is fine; returns NULL. */
struct hydra_query *hydra_free(struct hydra_query *query);

/* The store path in such an answer, which the caller owns. ERR_CORRUPT. */
int hydra_parse(const char *json, size_t len, char **ret, struct err *err);

#endif
