/* SPDX-License-Identifier: MIT */
#ifndef ACQUIRE_SYSTEM_FILES_H
#define ACQUIRE_SYSTEM_FILES_H

/*
 * The files of a system where there is no store: out of the pool, each when it is looked at. A
 * second look at the same system needs next to nothing, since what was made of its kernel modules
 * is remembered.
 */

#include "pool/pool.h"
#include "system/link.h"

struct system_files;

/* Has a store path put into the pool; `item` is of the closure. */
struct system_files_source {
	int (*fetch)(void *data, size_t item, struct err *err);
	void *data;
};

/*
 * In a scratch directory of the pool. The items of `closure` are borrowed; with a NULL `source` the
 * pool has all of it. Its user is one thread.
 */
int system_files_new(struct pool *pool, const struct closure *closure,
	const struct pool_params *params, const struct system_files_source *source,
	struct system_files **ret, struct err *err);
/* Leaves them to the end of the pool. NULL is fine; returns NULL. */
struct system_files *system_files_free(struct system_files *files);
/* Removes them. NULL is fine. */
void system_files_remove(struct system_files *files);

/* Where the store's paths are read; ends with "/nix/store". */
const char *system_files_dir(const struct system_files *files);

/* For system_read_by() and the carriers; lives as long as the files. Fails as pool_fill_in() and
 * the source do. */
const struct store_supply *system_files_supply(const struct system_files *files);

#endif
