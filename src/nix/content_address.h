/* SPDX-License-Identifier: MIT */
#ifndef NIX_CONTENT_ADDRESS_H
#define NIX_CONTENT_ADDRESS_H

/*
 * Content-addressed store paths: a path whose name follows from its contents needs nobody's
 * signature (Nix, src/libstore/content-address.cc and store-api.cc, makeFixedOutputPath()).
 */

#include "base/digest.h"
#include "base/err.h"
#include "nix/narinfo.h"

enum content_check {
	CONTENT_UNKNOWN, /* a form that we cannot hold the contents to */
	CONTENT_IS_NAR,  /* the NAR must have the hash */
	CONTENT_IS_FILE, /* the path must be one file whose bytes have it */
};

/*
 * Looks at info->ca (not NULL). ERR_CORRUPT when the path's name does not follow from it, or when
 * the NAR would have to have another hash than the narinfo says. *ret_hash is what must be compared
 * with the contents.
 */
int content_address_check(const struct narinfo *info, const char *store_dir,
	enum content_check *ret, struct digest *ret_hash, struct err *err);

#endif
