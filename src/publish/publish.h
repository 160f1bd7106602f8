/* SPDX-License-Identifier: MIT */
#ifndef PUBLISH_PUBLISH_H
#define PUBLISH_PUBLISH_H

/*
 * Publishing: everything that machines with a network root ask a server for, as plain files that
 * any web server or object store can answer with. docs/internals/publish.md has the order of
 * things.
 */

#include "base/progress.h"
#include "publish/target.h"
#include "serve/boot.h"

/* What all systems of one run have in common. */
struct publish_params {
	const char *url; /* where machines find the target: "http://HOST/PREFIX"; NULL: unknown, and
			    then no iPXE scripts are written */
	const char *alias;        /* the name of the boots' second issue: "default" */
	const char *profiles_dir; /* boot profiles that `snowboot serve` keeps, or NULL */
};

/* What a run did. */
struct publish_result {
	uint64_t files, bytes;           /* put */
	uint64_t kept, kept_bytes;       /* objects that were there already */
	uint64_t removed, removed_bytes; /* by publish_gc() */
};

/*
 * Puts what is missing for these boots (ROOT_NET), and then switches to them: each is offered under
 * its own name, and one that was issued a second time also under that name. Until the switch
 * whoever boots gets what was published before; a run that was cut off is continued by the next.
 * ERR_CORRUPT names an object of the pool that is damaged. Progress is in bytes.
 */
int publish_boots(struct target *target, const struct publish_params *params,
	struct boot *const *boots, size_t count, struct progress *progress,
	struct publish_result *result, struct err *err);

/*
 * Removes what no published manifest needs. ERR_NOT_FOUND when a manifest is there of which is not
 * known what it needs; then nothing is removed.
 */
int publish_gc(struct target *target, struct publish_result *result, struct err *err);

#endif
