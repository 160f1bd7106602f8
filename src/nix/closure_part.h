/* SPDX-License-Identifier: MIT */
#ifndef NIX_CLOSURE_PART_H
#define NIX_CLOSURE_PART_H

#include "nix/path_info.h"

/*
 * Keeps `path` and what it refers to, of a closure that has more, in the same order. ERR_NOT_FOUND
 * when it is not in there; the closure stays as it is then.
 */
int closure_keep_part(struct closure *closure, const char *path, struct err *err);

#endif
