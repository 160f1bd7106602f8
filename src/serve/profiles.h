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

#define PROFILE_REPORTS 8  /* finished boots kept per system: the latest */
#define PROFILE_SYSTEMS 64 /* kept at all */
#define PROFILE_RUNS 256   /* boots under way that are followed at the same time */

struct profiles;
struct profile_run; /* a boot under way */

/* Reads what the directory has; what cannot be read is logged and passed over. ERR_NOMEM, ERR_IO
 * when the directory cannot be made. */
int profiles_open(const char *dir, struct profiles **ret, struct err *err);
/* Saves first. All runs have ended. NULL is fine; returns NULL. */
struct profiles *profiles_close(struct profiles *profiles);

/*
 * A machine boots this system. `again`: it was here before in this boot, and goes on with the run
 * that was cut off, if that is still known. *ret is the caller's, until profile_run_end().
 * ERR_LIMIT with PROFILE_RUNS under way, ERR_NOMEM.
 */
int profile_run_begin(struct profiles *profiles, const struct digest *catalog,
	const struct node_id *node, bool again, struct profile_run **ret, struct err *err);
/* It touched a chunk of the system, for the first time in this boot. Beyond PROFILE_ENTRIES_MAX
 * they are not kept. ERR_NOMEM. */
int profile_run_touch(struct profile_run *run, const struct digest *chunk, struct err *err);
/*
 * up: what it touched counts from now on, unless only part of its boot was seen: less than half of
 * what others touched. Otherwise it was cut off: it may come again. NULL is fine; returns NULL.
 */
struct profile_run *profile_run_end(struct profile_run *run, bool up);

/*
 * The profile for a system: merged from the boots that came up. Else, whichever is longer: what is
 * inherited from the system that came up last, as far as `set` has the same chunks, or what the
 * foremost of those that boot it now touched. 1 and *ret, or 0: nothing is known.
 */
int profiles_get(struct profiles *profiles, const struct digest *catalog,
	const struct object_set *set, struct profile *ret, struct err *err);

/* Writes what is new to the directory; failures are logged. */
void profiles_save(struct profiles *profiles);

#endif
