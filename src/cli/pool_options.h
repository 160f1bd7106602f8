/* SPDX-License-Identifier: MIT */
#ifndef CLI_POOL_OPTIONS_H
#define CLI_POOL_OPTIONS_H

/* What the commands that use a pool have in common: --pool, --level, --jobs, and lines of JSON. */

#include "cli/command.h"
#include "pool/pool.h"

#include <jansson.h>

/* Opens the pool that --pool names, or the default one. Fails as pool_open(). */
int cli_open_pool(
	const struct cli_args *args, enum pool_flags flags, struct pool **ret, struct err *err);
/* Reads --level and --jobs. ERR_USAGE. */
int cli_pool_params(const struct cli_args *args, struct pool_params *ret, struct err *err);
/* Prints one line of JSON. NULL, and what cannot be printed, is ERR_NOMEM. */
int cli_put_json(json_t *take_json, struct err *err);

#endif
