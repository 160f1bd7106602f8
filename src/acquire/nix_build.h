/* SPDX-License-Identifier: MIT */
#ifndef ACQUIRE_NIX_BUILD_H
#define ACQUIRE_NIX_BUILD_H

#include "acquire/name.h"

/*
 * Has Nix build a NAME_FLAKE or NAME_NIX, its messages on our standard error, and gives the store
 * path, which the caller owns. ERR_UNSUPPORTED when Nix is not installed, ERR_IO when it fails,
 * ERR_USAGE when it makes several paths.
 */
int nix_build(const struct name *name, char **ret_path, struct err *err);

#endif
