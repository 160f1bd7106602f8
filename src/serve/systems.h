/* SPDX-License-Identifier: MIT */
#ifndef SERVE_SYSTEMS_H
#define SERVE_SYSTEMS_H

/*
 * The systems that are served, each with the toplevel that it leads to now and those before it, and
 * their boots as they come and go.
 */

#include "base/vec.h"
#include "serve/boot.h"
#include "serve/builder.h"

struct event_base;
struct systems;

/* Boots of one system that stay served: the present one and those before it. */
#define VERSIONS_KEPT 3

/* One toplevel of a system. */
struct version {
	char *toplevel;     /* store path; the key of what lies elsewhere until it is here */
	struct boot *boot;  /* NULL: not made yet, or failed */
	struct err failure; /* clean while it is being made */
};

struct served {
	const char *system;   /* as the user named it; a toplevel if a machine asked for it */
	char *demanded;       /* then also here, else NULL */
	char *specialisation; /* of what lies elsewhere, or NULL */
	char *key;  /* of what lies elsewhere: the builder's name for it; NULL: link is followed */
	char *link; /* or toplevel */
	uint64_t asked; /* counts up: who was not asked for longest makes place */
	struct version versions[VERSIONS_KEPT]; /* newest first; the rest is zero */
};

/* A boot was made, or not and why. From the loop; the boot is borrowed. */
typedef void systems_made_fn(
	const char *toplevel, struct boot *boot, const struct err *failure, void *data);

/* Systems beside those of the command line: the one not asked for longest makes place. */
#define DEMANDED_MAX 64

/*
 * Begins to make the boots of `names` (each a SYSTEM as acquire() takes it; the first, if any, is
 * the default one; the strings outlive it). A path that cannot be resolved now is an error.
 * `options` too is kept.
 */
int systems_new(struct event_base *base, const struct strvec *names,
	const struct boot_options *options, systems_made_fn *made, void *data, struct systems **ret,
	struct err *err);
struct systems *systems_free(struct systems *systems); /* NULL is fine; returns NULL */

/* Looks where the symlinks lead now; failures are logged. */
void systems_refresh(struct systems *systems);
/* That, and has what lies elsewhere acquired again: a flake may be another system now. */
void systems_reload(struct systems *systems);
/* True for the key of what lies elsewhere. */
bool systems_are_fetched(const struct systems *systems, const char *key);
/* How far the boot of a version is, by its toplevel; as builder_status(). */
void systems_status(
	const struct systems *systems, const char *toplevel, char out[BUILDER_STATUS_SIZE]);

/* True while a boot is being made. Then systems_free() leaves the builder to the process' end. */
bool systems_are_busy(const struct systems *systems);

size_t systems_count(const struct systems *systems);
/* Borrowed until the next refresh, as is all that follows. */
const struct served *systems_at(const struct systems *systems, size_t i);
/* By a toplevel's file name, or "default". NULL: no such one. */
struct version *systems_find(struct systems *systems, const char *name, size_t len);
/* What is wanted: a toplevel, or a SYSTEM that lies elsewhere, and a specialisation of it or NULL.
 */
struct demand {
	const char *system, *specialisation;
	bool elsewhere;
};
/*
 * The version of that, which is made now unless it is there already; one that failed is tried
 * again. Not valid beyond the next call of this. ERR_AGAIN when so many are being made that none
 * can make place.
 */
int systems_demand(struct systems *systems, const struct demand *demand, struct version **ret,
	struct err *err);
/* By catalog. NULL: not served. */
struct boot *systems_catalog(struct systems *systems, const struct digest *catalog);
/* The boot that has an object, or a chunk, and where. NULL: none. */
struct boot *systems_object(
	struct systems *systems, const struct digest *digest, const struct object **ret);
struct boot *systems_chunk(
	struct systems *systems, const struct digest *digest, const struct chunk_place **ret);

#endif
