/* SPDX-License-Identifier: MIT */
#ifndef PUBLISH_UPLOADS_H
#define PUBLISH_UPLOADS_H

/* Many files of this machine put at once. */

#include "base/digest.h"
#include "base/progress.h"
#include "publish/target.h"

/* A file on its way. */
struct upload {
	char *name;                  /* at the target */
	const char *path;            /* on this machine; borrowed */
	uint64_t size;               /* bytes */
	const struct digest *digest; /* what it must have; NULL: whatever it has; borrowed */
};

struct uploads {
	VEC(struct upload) items;
	uint64_t bytes; /* of all */
};
#define AUTO_UPLOADS AUTO(uploads_done) struct uploads
void uploads_done(struct uploads *uploads);
int uploads_add(struct uploads *uploads, const struct upload *upload, struct err *err);

/* Puts them all, as many at once as the target likes, and flushes. Progress is in bytes. The first
 * failure ends it; ERR_CORRUPT names a file that is not what its digest says. */
int uploads_run(const struct uploads *uploads, struct target *target, struct progress *progress,
	struct err *err);

#endif
