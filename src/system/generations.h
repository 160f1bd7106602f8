/* SPDX-License-Identifier: MIT */
#ifndef SYSTEM_GENERATIONS_H
#define SYSTEM_GENERATIONS_H

/*
 * The generations of a Nix profile: symlinks "<profile>-<number>-link" beside the symlink
 * "<profile>", which points to the current one (Nix, src/libstore/profiles.cc).
 */

#include "base/err.h"
#include "base/mem.h"
#include "system/link.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct generation {
	uint64_t number;
	char *link;   /* "/nix/var/nix/profiles/system-42-link" */
	char *path;   /* the store path it leads to, or NULL when that is gone */
	int64_t time; /* when the link was made, seconds since 1970 */
	bool current; /* the profile points to it */
};

struct generations {
	char *profile;            /* "/nix/var/nix/profiles/system" */
	struct generation *items; /* by number, ascending */
	size_t len;
};

#define AUTO_GENERATIONS AUTO(generations_done) struct generations

void generations_done(struct generations *generations);

/*
 * Lists the profile that `name` is or belongs to: 1 and *ret when it is a profile or one of its
 * generation links, 0 when it is neither. ERR_IO when the folder cannot be read.
 */
int generations_list(
	const struct store_view *view, const char *name, struct generations *ret, struct err *err);

#endif
