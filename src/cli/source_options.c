/* SPDX-License-Identifier: MIT */
/* Options about sources. */
#include "cli/source_options.h"

#include "source/caches.h"

void cli_acquirer_close(struct acquirer **acquirer)
{
	*acquirer = acquirer_close(*acquirer);
}

int cli_acquirer(const struct cli_args *args, struct acquirer **ret, struct err *err)
{
	AUTO_STRVEC caches = {0}, keys = {0};
	long long stall_s;
	if (cli_values(args, "cache", &caches, err) < 0 ||
		cli_values(args, "trusted-key", &keys, err) < 0 ||
		cli_number(args, "cache-timeout", 1, 3600, CACHES_STALL_S, &stall_s, err) < 0)
		return -1;
	const struct acquire_params params = {.store_root = cli_option(args, "store", ""),
		.profiles = cli_option(args, "profiles", NULL), /* which only `serve` has */
		.caches = &caches,
		.trusted_keys = &keys,
		.any_signature = cli_flag(args, "no-check-sigs"),
		.stall_s = (unsigned)stall_s};
	return acquirer_open(&params, ret, err);
}
