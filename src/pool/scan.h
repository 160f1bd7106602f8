/* SPDX-License-Identifier: MIT */
#ifndef POOL_SCAN_H
#define POOL_SCAN_H

/* What lies below objects/, and what of it the index needs. */

#include "pool/handle.h"

#include <stdbool.h>

struct found_object {
	struct digest object;
	uint64_t size; /* bytes */
	uint32_t refs; /* rows of the index that need it */
	bool pinned;
	bool bad; /* for verify */
};

struct found_objects {
	struct found_object *items; /* sorted by digest */
	size_t len, cap;
};
#define AUTO_FOUND_OBJECTS AUTO(found_objects_done) struct found_objects
void found_objects_done(struct found_objects *objects);

/* Lists all objects; files that cannot be one are told to `stray` by name, if that is not NULL. */
int scan_objects(const struct pool *pool, struct found_objects *ret, pool_problem_fn *stray,
	void *data, struct err *err);
/* The object of that name, or NULL. */
struct found_object *scan_find(const struct found_objects *objects, const struct digest *object);
/* The objects a row needs: NULL where one is missing, or where there is none to need. */
struct scan_row {
	struct found_object *objects[2];
	const struct digest *names[2];
	size_t count;
};
struct scan_row scan_row(const struct found_objects *objects, const struct index_ref *ref);
/* Counts references, and marks what is pinned. */
void scan_mark(struct found_objects *objects, const struct index_refs *refs,
	const struct digest_list *pins);

#endif
