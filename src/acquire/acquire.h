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
struct system_files;
struct acquire_look;

struct acquire_params {
	const char *store_root;      /* of the local store; "" for this machine's own */
	const char *profiles;        /* a directory of links whose names are SYSTEMs too, or NULL */
	const struct strvec *caches; /* URLs, asked beside those of nix.conf */
	const struct strvec *trusted_keys; /* NAME:BASE64, trusted beside those of nix.conf */
	bool any_signature;                /* signatures are not looked at */
	unsigned stall_s; /* a cache that sends less than 1 KiB/s for so long is given up */
};

/* Looks at nothing yet but nix.conf; what is in `params` is copied. ERR_USAGE. */
int acquirer_open(const struct acquire_params *params, struct acquirer **ret, struct err *err);
/* After all that was acquired is done. NULL is fine; returns NULL. */
struct acquirer *acquirer_close(struct acquirer *acquirer);

/* Before we become a user who may not: opens what holds paths of the local store, if there is one.
 */
int acquirer_prepare(struct acquirer *acquirer, struct err *err);

/* Where the paths of the local store are read: "<store_root>/nix/store". Any thread may ask. */
const char *acquirer_real_store(const struct acquirer *acquirer);

/* What was acquired. */
struct acquired {
	char *path; /* its store path */
	/* Its real_dir has the paths when they are on the disk; with a supply, what that brings. */
	struct closure closure;
	struct system_files *files; /* inside */
	struct acquire_look *look;  /* inside */
};

#define AUTO_ACQUIRED AUTO(acquired_done) struct acquired
void acquired_done(struct acquired *acquired);
/* Removes files that came from a cache, when what was made of them does not refer to them. */
void acquired_remove_files(struct acquired *acquired);
/* Brings the files of a system that came from a cache; NULL: all are there. Valid as long as
 * `acquired`, the pool and, with `look`, the acquirer. */
const struct store_supply *acquired_supply(const struct acquired *acquired);

/* Where it goes. */
struct acquire_into {
	struct pool *pool; /* may be NULL when acquire_is_here() */
	const struct pool_params *params;
	struct system *system; /* filled in: then it must be one; NULL: any store path will do */
	const char *specialisation; /* of the system, in its stead; NULL: itself */
	/* Only what is looked at goes into the pool, and nothing from the disk; without
	 * `specialisation`. */
	bool look;
	struct progress *progress;
};

/*
 * Finds `name`, holds it against garbage collection when it is in the local store, and fills the
 * pool. What a cache said is remembered there: as long as the pool has all of it, no cache is asked
 * again. Fails as the local store, the caches and the pool do; ERR_NOT_FOUND with a hint for what
 * is nowhere.
 */
int acquire(struct acquirer *acquirer, const char *name, const struct acquire_into *into,
	struct acquired *ret, struct err *err);

/* 1 when it is on the disk, or Nix puts it there; 0 when it may be in a cache. ERR_USAGE. */
int acquire_is_here(const struct acquirer *acquirer, const char *name, struct err *err);

/* Adds to the failure of a name what may have been meant by it, if that is nothing that is there.
 * Returns -1. */
int acquire_hint(const char *name, struct err *err);

/*
 * The file name of the store path that is meant, or HASH alone, which the caller owns: links are
 * followed, Nix builds, but no cache is asked. ERR_USAGE, ERR_NOT_FOUND.
 */
int acquire_file_name(
	const struct acquirer *acquirer, const char *name, char **ret, struct err *err);

/*
 * Tells whether a name leads to a store path by symlinks alone: 1 and *ret_path, which the caller
 * owns, is what to follow; or 0: where it leads is known when it was acquired. Any thread may ask.
 * ERR_USAGE.
 */
int acquire_find_link(
	const struct acquirer *acquirer, const char *name, char **ret_path, struct err *err);

#endif
