/* SPDX-License-Identifier: MIT */
#ifndef SOURCE_CACHES_H
#define SOURCE_CACHES_H

/*
 * Binary caches: closures from their narinfos, and NARs for the pool. Several are asked in the
 * order of their priorities; what one lacks, or fails to give, comes from the next.
 */

#include "base/buf.h"
#include "base/progress.h"
#include "nix/path_info.h"
#include "pool/supply.h"
#include "source/trust.h"

struct caches;

struct caches_params {
	const struct strvec *urls; /* https, http, file or s3, in the user's order */
	const struct trust *trust; /* outlives the caches */
	const char *netrc;         /* a file, or NULL */
	const char *tls_trust;     /* likewise: certificates that are believed */
	unsigned stall_s;          /* less than 1 KiB/s for so long is a failure */
	const char *absent_file;   /* keeps what they were found to lack; NULL: it is not kept */
	unsigned absent_s;         /* for so long */
};

#define CACHES_STALL_S 30

/*
 * Asks each for its nix-cache-info. One that cannot be used is warned about and left out; the
 * failure is that of the first when none is left. ERR_USAGE for a URL that is none of a cache.
 */
int caches_open(const struct caches_params *params, struct caches **ret, struct err *err);
struct caches *caches_close(struct caches *caches); /* NULL is fine; returns NULL */

/* A closure as caches have it. */
struct cached_closure;

/*
 * The closure of `name` ("<hash>", "<hash>-<name>" or a whole store path). *ret_path, which the
 * caller owns, is its store path. ERR_NOT_FOUND when no cache has it or something it refers to,
 * ERR_UNTRUSTED and ERR_CORRUPT name the narinfo.
 */
int caches_closure(struct caches *caches, const char *name, struct progress *progress,
	struct cached_closure **ret, char **ret_path, struct err *err);
struct cached_closure *cached_closure_free(struct cached_closure *cached); /* likewise */
const struct closure *cached_closure_get(const struct cached_closure *cached);
/* Hands the closure over: afterwards `cached` is good for caches_supply() only. */
void cached_closure_take(struct cached_closure *cached, struct closure *ret);

/* All narinfos of the closure, that of `path` first, with an empty line between them. */
int cached_closure_save(
	const struct cached_closure *cached, const char *path, struct buf *out, struct err *err);
/*
 * What was saved, held to what is trusted now. Its NARs cannot be had of it: no cache is asked.
 * ERR_CORRUPT, ERR_UNTRUSTED.
 */
int cached_closure_load(const struct trust *trust, const char *text, struct cached_closure **ret,
	char **ret_path, struct err *err);

/* Brings the NARs of a closure, a few ahead of being asked. Borrows it. */
int caches_supply(struct caches *caches, const struct cached_closure *cached,
	struct pool_supply *ret, struct err *err);
void caches_supply_done(struct pool_supply *supply);

#endif
