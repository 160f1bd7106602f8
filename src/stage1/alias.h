/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_ALIAS_H
#define STAGE1_ALIAS_H

/* Which modules a device's MODALIAS, or a name the kernel asks for, stands for. */

#include "base/err.h"
#include "base/vec.h"

#include <stdbool.h>

struct alias {
	char *pattern;      /* glob; borrowed from the index's caller */
	size_t literal;     /* how many characters stand before the first of *?[ */
	const char *module; /* borrowed */
};

#define ALIAS_LITERAL_MAX 256

struct alias_index {
	VEC(struct alias) aliases;
	bool literals[ALIAS_LITERAL_MAX + 1]; /* literal lengths that occur */
	bool sorted;
};

void alias_index_done(struct alias_index *index);
/*
 * Adds `pattern`, in which '-' becomes '_' outside brackets (as kmod does). Both strings stay the
 * caller's and must outlive the index. ERR_NOMEM.
 */
int alias_index_add(struct alias_index *index, char *pattern, const char *module, struct err *err);
/* Appends the modules whose pattern matches, each once, in the order of their literal length. */
int alias_index_match(
	struct alias_index *index, const char *name, struct strvec *modules, struct err *err);
/* '-' becomes '_' outside brackets. */
void alias_normalize(char *name);

#endif
