/* SPDX-License-Identifier: MIT */
#ifndef CLI_SOURCE_OPTIONS_H
#define CLI_SOURCE_OPTIONS_H

/* Where systems are looked for: --store, --cache and what belongs to it, in every command that
 * takes a SYSTEM from anywhere. */

#include "acquire/acquire.h"
#include "cli/command.h"

#define SOURCE_OPTIONS \
	{0, "store", "ROOT", "the store under another root (ROOT/nix/store)", "@dir"}, \
		{0, "cache", "URL", "a binary cache to look in, beside those of nix.conf"}, \
		{0, "trusted-key", "KEY", "a key whose signatures count (NAME:BASE64)"}, \
		{0, "no-check-sigs", NULL, "take unsigned store paths from caches"}, \
	{ \
		0, "cache-timeout", "SECONDS", "how long a cache may send almost nothing (30)", \
			NULL \
	}

/* Reads these options. Fails as acquirer_open(). */
int cli_acquirer(const struct cli_args *args, struct acquirer **ret, struct err *err);
void cli_acquirer_close(struct acquirer **acquirer);
#define AUTO_ACQUIRER AUTO(cli_acquirer_close) struct acquirer

#endif
