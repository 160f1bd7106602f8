/* SPDX-License-Identifier: MIT */
#ifndef CARRIER_RECIPE_H
#define CARRIER_RECIPE_H

/*
 * How a root image was composed, as a small object of the pool: the superblock and the parts of the
 * layout, each of which is an object named by its hash. docs/formats/recipe.md describes the bytes.
 */

#include "base/buf.h"
#include "carrier/root.h"

/* Appends the recipe of a composed root. ERR_NOMEM. */
int recipe_encode(const struct root *root, struct buf *out, struct err *err);

/*
 * Makes image, layout and names again; the files are the pool's objects, whether they are there or
 * not. ERR_CORRUPT for anything that is no complete recipe.
 */
int recipe_decode(const struct buf *recipe, struct pool *pool, struct root *ret, struct err *err);

#endif
