/* SPDX-License-Identifier: MIT */
#ifndef ACQUIRE_SYSTEM_FILES_H
#define ACQUIRE_SYSTEM_FILES_H

/* The files of a system where there is no store: out of the pool, those that booting it needs. */

#include "pool/pool.h"

/*
 * Unpacks, below `dir` (which is there, and empty), the toplevel `path`, what it links to (its
 * software but for what the boot itself reads left out), and all that kernel, initrd, modules and
 * firmware link to. The pool has the closure. ERR_CORRUPT for a damaged segment, ERR_IO.
 */
int system_files_unpack(struct pool *pool, const struct closure *closure,
	const struct pool_params *params, const char *path, const char *dir, struct err *err);

#endif
