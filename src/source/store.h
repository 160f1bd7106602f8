/* SPDX-License-Identifier: MIT */
#ifndef SOURCE_STORE_H
#define SOURCE_STORE_H

/* A local Nix store, read through its SQLite database (schema 10), also while Nix writes to it. */

#include "nix/path_info.h"

struct store;

/*
 * Opens the store under `root` ("" for this machine's own; "/mnt" for one under /mnt/nix).
 * ERR_NOT_FOUND when there is none, ERR_UNSUPPORTED for another schema. Never writes.
 */
int store_open(const char *root, struct store **ret, struct err *err);
struct store *store_close(struct store *store); /* NULL is fine; returns NULL */

const char *store_dir(const struct store *store);      /* "/nix/store" */
const char *store_real_dir(const struct store *store); /* "<root>/nix/store" */

/*
 * The closure of `path`, in dependency order and the same on every machine for the same references.
 * ERR_NOT_FOUND when the path or something it refers to is not registered (both are named),
 * ERR_CORRUPT for a malformed row.
 */
int store_closure(struct store *store, const char *path, struct closure *ret, struct err *err);

/*
 * Keeps paths (and what they refer to) from Nix's garbage collector for as long as this process
 * lives or until store_close(): a temporary root, <root>/nix/var/nix/temproots/<pid>, as Nix's own
 * processes write it. Who may not write there (an ordinary user, a read-only file system) is warned
 * and goes on: what is collected meanwhile is then missing when it is read.
 */
int store_hold(struct store *store, const char *path, struct err *err);

/*
 * Opens what store_hold() writes to, so that it works also when this process has become somebody
 * who may not open it. Fails and warns as store_hold() does.
 */
int store_prepare_hold(struct store *store, struct err *err);

#endif
