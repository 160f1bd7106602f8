/* SPDX-License-Identifier: MIT */
#ifndef NIX_STORE_PATH_H
#define NIX_STORE_PATH_H

/*
 * Names of store paths: "<store dir>/<32 digits of nix32>-<name>", where the name has 1 to 211 of
 * the characters 0-9 a-z A-Z + - . _ ? = (Nix, src/libstore/path.cc).
 */

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define STORE_PATH_HASH_LEN 32
#define STORE_PATH_NAME_MAX 211

/*
 * How much of `path` is a store path: all of "/nix/store/<hash>-bash", the first part of
 * "/nix/store/<hash>-bash/bin/sh", 0 for anything else.
 */
size_t store_path_len(const char *path, const char *store_dir);

/* `path` is a store path and nothing more. ERR_CORRUPT: "'…' is not a store path". */
int store_path_check(const char *path, const char *store_dir, struct err *err);

#endif
