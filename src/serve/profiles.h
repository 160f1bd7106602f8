/* SPDX-License-Identifier: MIT */
#ifndef SERVE_PROFILES_H
#define SERVE_PROFILES_H

/*
 * Boot profiles as an origin makes them: what nodes report to have touched, in order, merged per
 * system and kept in a directory. docs/formats/profile.md.
 */

#include "manifest/profile.h"
#include "serve/objects.h"
#include "swarm/message.h"

#define PROFILE_REPORTS 8  /* kept per system: the latest */
#define PROFILE_SYSTEMS 64 /* kept at all */

struct profiles;

/* Reads what the directory has; what cannot be read is logged and passed over. ERR_NOMEM, ERR_IO
 * when the directory cannot be made. */
int profiles_open(const char *dir, struct profiles **ret, struct err *err);
/* Saves first. NULL is fine; returns NULL. */
struct profiles *profiles_close(struct profiles *profiles);

/*
 * A node boots this system: what it reports from now on replaces its last report. `again`: it was
 * here before in this boot, and goes on with that report unless it is gone. ERR_NOMEM.
 */
int profiles_begin(struct profiles *profiles, const struct digest *catalog,
	const struct node_id *node, bool again, struct err *err);
/* It touched a chunk of the system, for the first time in this boot. ERR_NOMEM. */
int profiles_touch(struct profiles *profiles, const struct digest *catalog,
	const struct node_id *node, const struct digest *chunk, struct err *err);

/*
 * The profile for a system: merged from its reports, else inherited from the system that was
 * reported last, as far as `set` has the same chunks. 1 and *ret, or 0: nothing is known.
 */
int profiles_get(struct profiles *profiles, const struct digest *catalog,
	const struct object_set *set, struct profile *ret, struct err *err);

/* Writes what is new to the directory; failures are logged. */
void profiles_save(struct profiles *profiles);

#endif
