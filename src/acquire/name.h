/* SPDX-License-Identifier: MIT */
#ifndef ACQUIRE_NAME_H
#define ACQUIRE_NAME_H

/* What a user's SYSTEM is, by its looks. */

#include "base/err.h"
#include "base/mem.h"

#include <stdbool.h>

enum name_kind {
	NAME_FILE,    /* a store path, or a file that leads to one */
	NAME_HASH,    /* HASH or HASH-NAME */
	NAME_STORE,   /* a whole store path, which may be here or in a cache */
	NAME_CACHE,   /* URL/HASH */
	NAME_FLAKE,   /* FLAKE#ATTR */
	NAME_NIX,     /* a directory with a default.nix */
	NAME_PROFILE, /* a profile's name */
};

struct name {
	enum name_kind kind;
	char *text;      /* what is looked up: "HASH[-NAME]", a file name, … */
	char *cache_url; /* NAME_CACHE */
};

#define AUTO_NAME AUTO(name_done) struct name
void name_done(struct name *name);

/* Where names of profiles are looked for. */
struct name_places {
	const char *own;        /* a directory of links, first; or NULL */
	const char *store_root; /* then below <store_root>/nix/var/nix/profiles */
};

/* True for HASH and HASH-NAME. */
bool name_is_hash(const char *text);

/* Tells. Files that exist go before all else. ERR_USAGE for a URL without a hash. */
int name_parse(
	const char *text, const struct name_places *places, struct name *ret, struct err *err);

#endif
