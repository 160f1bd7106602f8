/* SPDX-License-Identifier: MIT */
#ifndef ACQUIRE_PARTS_H
#define ACQUIRE_PARTS_H

/* What acquire.c and cached.c share; nobody else includes this. */

#include "acquire/acquire.h"
#include "source/caches.h"
#include "source/nix_conf.h"
#include "source/store.h"

#define ACQUIRE_STORE_DIR "/nix/store"

struct acquirer {
	char *profiles; /* or NULL */
	char *store_root, *real_store;
	struct store *store; /* NULL: not opened yet, or there is none */
	struct strvec urls;
	struct trust trust;
	struct nix_conf conf;
	struct caches *caches; /* NULL: not opened yet */
	char *caches_for;      /* the URL that they were opened for beside `urls`, or NULL */
	unsigned stall_s;
};

/* Appends those that are not there yet. */
int acquire_add_urls(const struct strvec *from, struct strvec *to, struct err *err);

/* HASH or HASH-NAME from the pool, when that has all of it, else from a cache; `url` (or NULL) is
 * asked before all others. */
int acquire_cached(struct acquirer *acquirer, const char *text, const char *url,
	const struct acquire_into *into, struct acquired *acquired, struct err *err);

void acquire_look_free(struct acquire_look *look); /* NULL is fine */

#endif
