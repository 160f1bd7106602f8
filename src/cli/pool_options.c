/* SPDX-License-Identifier: MIT */
/* Options that mean the same in every command. */
#include "cli/pool_options.h"

#include <stdio.h>

int cli_open_pool(
	const struct cli_args *args, enum pool_flags flags, struct pool **ret, struct err *err)
{
	const char *named = cli_option(args, "pool", NULL);
	AUTO_FREE char *fallback = named == NULL ? pool_default_dir(err) : NULL;
	if (named == NULL && fallback == NULL)
		return -1;
	return pool_open(named != NULL ? named : fallback, flags, ret, err);
}

int cli_pool_params(const struct cli_args *args, struct pool_params *ret, struct err *err)
{
	long long level, jobs;
	if (cli_number(args, "level", 1, 19, POOL_LEVEL_DEFAULT, &level, err) < 0 ||
		cli_number(args, "jobs", 1, 4096, 0, &jobs, err) < 0)
		return -1;
	*ret = (struct pool_params){.level = (int)level, .jobs = (unsigned)jobs};
	return 0;
}

int cli_put_json(json_t *take_json, struct err *err)
{
	int r = take_json != NULL ? json_dumpf(take_json, stdout, JSON_COMPACT) : -1;
	json_decref(take_json);
	putchar('\n');
	return r < 0 ? err_oom(err) : 0;
}
