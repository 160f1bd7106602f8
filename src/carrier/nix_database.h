/* SPDX-License-Identifier: MIT */
#ifndef CARRIER_NIX_DATABASE_H
#define CARRIER_NIX_DATABASE_H

/* The Nix database of a closure as files beside its image, made once and kept in the pool. */

#include "image/image.h"
#include "pool/pool.h"

struct nix_database {
	struct image sqlite;       /* /nix/var/nix/db/db.sqlite */
	struct image registration; /* what nix-store --load-db reads */
};

#define AUTO_NIX_DATABASE AUTO(nix_database_done) struct nix_database

void nix_database_done(struct nix_database *database);

/* Makes both, or looks them up. Fails as database_build() and the pool do. */
int nix_database_make(struct pool *pool, const struct closure *closure, struct nix_database *ret,
	struct err *err);

#endif
