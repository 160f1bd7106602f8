/* SPDX-License-Identifier: MIT */
#ifndef RULES_ONCE_H
#define RULES_ONCE_H

/*
 * Which one-shot assignments were given to which machine, and which are used up: the file "once" in
 * the state directory (docs/formats/machines.md), replaced as a whole under a lock, so that several
 * servers may share it.
 */

#include "base/digest.h"
#include "base/err.h"

#define ONCE_RECORDS_MAX 65536

enum once_state {
	ONCE_NEW,   /* never given to this machine as it is now written */
	ONCE_GIVEN, /* it did not report yet that it came up */
	ONCE_USED,
};

/* One assignment, for one machine. Neither name has a blank. */
struct once_key {
	const char *entry;  /* its canonical name in the directory */
	const char *who;    /* identity_first() of the machine */
	struct digest mark; /* of the entry as it is written: another one is new */
};

/* What became of it, and when (seconds since 1970). ERR_CORRUPT for a damaged file. */
int once_look(const char *state_dir, const struct once_key *key, enum once_state *ret,
	int64_t *ret_at, struct err *err);

/* It was given out and leads to `system` (a toplevel's file name). Nothing is written twice. */
int once_give(const char *state_dir, const struct once_key *key, const char *system, int64_t now,
	struct err *err);

/* The machine came up with that system: uses up what was given to it. Returns how many were. */
int once_came_up(const char *state_dir, const char *who, const char *system, int64_t now,
	size_t *ret_count, struct err *err);

#endif
