/* SPDX-License-Identifier: MIT */
#ifndef NIX_PATH_INFO_H
#define NIX_PATH_INFO_H

/* What a Nix store knows of a store path, and closures of them. */

#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct path_info {
	char *path;             /* "/nix/store/<hash>-<name>" */
	struct digest nar_hash; /* SHA-256 of its NAR */
	uint64_t nar_size;      /* bytes */
	char *deriver;          /* a store path, or NULL */
	size_t *refs; /* indexes into the closure, itself included when it refers to itself; in the
			 order of their names */
	size_t ref_count;
	char *sigs;                 /* separated by spaces, or NULL */
	char *ca;                   /* content address, or NULL */
	uint64_t registration_time; /* seconds since 1970 */
	bool ultimate;              /* built here, so trusted without a signature */
};

/* Store paths in dependency order: what a path refers to stands before it (cycles cannot occur in
 * Nix). */
struct closure {
	struct path_info *items;
	size_t len;
	char *store_dir; /* the store's name in every path: "/nix/store" */
	char *real_dir;  /* where the paths can be read: "/nix/store", or "/mnt/nix/store" under
			    another root */
};

#define AUTO_CLOSURE AUTO(closure_done) struct closure

void path_info_done(struct path_info *info);
void closure_done(struct closure *closure);

/*
 * Puts the paths into dependency order, an order that only their names and references decide, and
 * each path's references into the order of names. ERR_CORRUPT when paths refer to each other in a
 * circle; the closure then stays valid in its old order.
 */
int closure_sort(struct closure *closure, struct err *err);

/* Sum of nar_size, bytes. */
uint64_t closure_nar_size(const struct closure *closure);

/* The file name of item i's contents below real_dir; caller owns; NULL with ERR_NOMEM. */
char *closure_real_path(const struct closure *closure, size_t i, struct err *err);

#endif
