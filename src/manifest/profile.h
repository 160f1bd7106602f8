/* SPDX-License-Identifier: MIT */
#ifndef MANIFEST_PROFILE_H
#define MANIFEST_PROFILE_H

/*
 * The boot profile of a system: the chunks of its image in the order in which a boot first touches
 * them. It is a hint and carries no signature: what it names is a place in a catalog that is
 * verified, so the worst that a wrong one does is a prefetch of what is not needed.
 * docs/formats/profile.md.
 */

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/vec.h"

#include <stdint.h>

#define PROFILE_MAX ((size_t)64 << 10) /* bytes: so that it fits a note of the cache */
#define PROFILE_HEAD 44                /* bytes before the entries */
#define PROFILE_ENTRIES_MAX ((PROFILE_MAX - PROFILE_HEAD) / 8)

/* The chunk `chunk` in the chunk table of the catalog's member `member`. */
struct profile_entry {
	uint32_t member, chunk;
};

struct profile {
	struct digest catalog; /* whose members are meant */
	VEC(struct profile_entry) entries;
};

#define AUTO_PROFILE AUTO(profile_done) struct profile
void profile_done(struct profile *profile);

/* Appends it; entries beyond PROFILE_ENTRIES_MAX, the latest touched, are left out. ERR_NOMEM. */
int profile_encode(const struct profile *profile, struct buf *out, struct err *err);
/* ERR_CORRUPT. Whether the catalog has such members and chunks is for the reader to see. */
int profile_decode(const void *data, size_t size, struct profile *ret, struct err *err);

#endif
