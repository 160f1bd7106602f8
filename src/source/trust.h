/* SPDX-License-Identifier: MIT */
#ifndef SOURCE_TRUST_H
#define SOURCE_TRUST_H

/* Whose word counts for what a binary cache says. */

#include "manifest/key.h"
#include "nix/narinfo.h"

struct trust {
	public_keys keys;
	bool anything; /* signatures are not looked at */
};

void trust_done(struct trust *trust);

/* Adds a key. ERR_USAGE when it is none. */
int trust_add(struct trust *trust, const char *key, struct err *err);

/*
 * A narinfo is believed when a trusted key signed it, or when its content address makes its name:
 * then *ret_is_file says whether the contents must still be held to *ret_hash. ERR_UNTRUSTED says
 * what is wrong with the signatures, ERR_CORRUPT what with the address.
 */
int trust_check(const struct trust *trust, const struct narinfo *info, const char *store_dir,
	bool *ret_is_file, struct digest *ret_hash, struct err *err);

#endif
