/* SPDX-License-Identifier: MIT */
#ifndef CARRIER_ROOT_H
#define CARRIER_ROOT_H

/*
 * The root image of a system: its closure, composed out of what the pool has. The same on every
 * carrier.
 */

#include "image/image.h"
#include "image/squashfs/squashfs.h"
#include "pool/pool.h"

#include <stdbool.h>

struct root {
	struct image image;
	struct squashfs_layout layout; /* parts with their hashes */
	struct strvec names;           /* what the parts' names point to */
	struct digest id;              /* names the contents: the same id, the same bytes */
	struct digest key;             /* names what it was composed from */
	bool remembered;               /* looked up, not composed */
};

#define AUTO_ROOT AUTO(root_done) struct root

void root_done(struct root *root);

/*
 * Composes the root of a closure, or looks up how that was done before. Pins the objects it refers
 * to. ERR_NOT_FOUND names a store path that the pool does not have.
 */
int root_compose(struct pool *pool, const struct closure *closure, const struct pool_params *params,
	struct root *ret, struct err *err);

/*
 * Keeps the generated metadata in the pool, so that the next root_compose() of this closure only
 * looks it up, and replaces the copy in memory by that file. Does nothing for a root that was
 * looked up.
 */
int root_remember(struct pool *pool, struct root *root, struct err *err);

#endif
