/* SPDX-License-Identifier: MIT */
#ifndef SOURCE_PARTS_H
#define SOURCE_PARTS_H

/* What the files of the local store share among themselves; nobody else includes this. */

#include "source/query.h"
#include "source/store.h"
#include "source/temproots.h"

struct store {
	char *root;      /* "" or "/mnt", no slash at the end */
	char *dir;       /* "/nix/store" */
	char *real_dir;  /* "<root>/nix/store" */
	char *state_dir; /* "<root>/nix/var/nix" */
	char *db_path;   /* "<root>/nix/var/nix/db/db.sqlite" */
	struct temproots temproots;
};

/* Reads and sorts the closure of `path` in one snapshot; failures as store_closure() has them. */
int closure_load(sqlite3 *db, const struct store *store, const char *path, struct closure *ret,
	struct err *err);

#endif
