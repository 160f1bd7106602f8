/* SPDX-License-Identifier: MIT */
#ifndef RULES_DIRECTORY_H
#define RULES_DIRECTORY_H

/* The machines' directory: which of its entries are about a machine. */

#include "base/vec.h"
#include "rules/identity.h"

#define ENTRIES_MAX 65536

struct entry {
	char *name;              /* of the file */
	enum identity_kind kind; /* by which it matches; IDENTITIES: "default" */
};

struct directory {
	VEC(struct entry) matches; /* the one that wins first */
	struct strvec odd;         /* names that are of no machine; sorted */
	size_t others;             /* entries of other machines */
};

#define AUTO_DIRECTORY AUTO(directory_done) struct directory

void directory_done(struct directory *directory);

/*
 * Reads the directory as it is now. Names may end in ".json"; those that begin with a dot are
 * passed over. Of two for the same machine by the same kind, the first by name wins. ERR_NOT_FOUND
 * or ERR_IO when it cannot be read, ERR_LIMIT beyond ENTRIES_MAX.
 */
int directory_read(
	const char *dir, const struct identity *who, struct directory *ret, struct err *err);

/* Called for an entry; less than 0 ends the reading. */
typedef int directory_entry_fn(const struct entry *entry, void *data, struct err *err);

/* All entries in no order, whosever they are. Fails as directory_read() does. */
int directory_each(const char *dir, directory_entry_fn *each, void *data, struct err *err);

#endif
