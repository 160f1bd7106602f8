/* SPDX-License-Identifier: MIT */
#ifndef ACQUIRE_ACQUIRE_H
#define ACQUIRE_ACQUIRE_H

/*
 * A system from wherever it is kept, into the pool. SYSTEM is what a user writes: a store path or a
 * symlink to one, a profile's name, HASH or HASH-NAME, URL/HASH in a binary cache, FLAKE#ATTR, or a
 * directory with a default.nix.
 */

#include "pool/pool.h"
#include "system/system.h"

#include <stdbool.h>

struct acquirer;

struct acquire_params {
	const char *store_root;            /* of the local store; "" for this machine's own */
	const struct strvec *caches;       /* URLs, asked beside those of nix.conf */
	const struct strvec *trusted_keys; /* NAME:BASE64, trusted beside those of nix.conf */
	bool any_signature;                /* signatures are not looked at */
	unsigned stall_s; /* a cache that sends less than 1 KiB/s for so long is given up */
};

/* Looks at nothing yet but nix.conf; what is in `params` is copied or borrowed for good. ERR_USAGE.
 */
int acquirer_open(const struct acquire_params *params, struct acquirer **ret, struct err *err);
struct acquirer *acquirer_close(struct acquirer *acquirer); /* NULL is fine; returns NULL */

/* What was acquired; the pool has all segments. */
struct acquired {
	char *path; /* its store path */
	/* closure.real_dir has all paths when they are on the disk. When they came from a cache, it
	 * has, with a system, those that system_read() and the carriers look at; it is below
	 * the pool and lives as long as the pool is open. */
	struct closure closure;
};

#define AUTO_ACQUIRED AUTO(acquired_done) struct acquired
void acquired_done(struct acquired *acquired);

/* Where it goes. */
struct acquire_into {
	struct pool *pool;
	const struct pool_params *params;
	struct system *system; /* filled in: then it must be one; NULL: any store path will do */
	struct progress *progress;
};

/*
 * Finds `name`, holds it against garbage collection when it is in the local store, and fills the
 * pool. Fails as the local store, the caches and the pool do; ERR_NOT_FOUND with a hint for what is
 * nowhere.
 */
int acquire(struct acquirer *acquirer, const char *name, const struct acquire_into *into,
	struct acquired *ret, struct err *err);

#endif
