/* SPDX-License-Identifier: MIT */
#ifndef RULES_ASSIGNMENT_H
#define RULES_ASSIGNMENT_H

/*
 * What a machine boots, and why: the one place that decides it, for iPXE, for pxelinux.cfg and for
 * `snowboot explain`.
 */

#include "base/digest.h"
#include "base/vec.h"
#include "rules/directory.h"
#include "rules/rule.h"

/* Where rules come from; the strings are borrowed. */
struct rules {
	const char *dir;        /* the machines' directory, or NULL */
	const char *state_dir;  /* where one-shot assignments are remembered */
	const char *fallback;   /* what who has no entry boots (a SYSTEM), or NULL */
	const char *real_store; /* where paths of the store are read; NULL: where they say */
	/* Tells what a SYSTEM is as acquire_find_link() does; NULL: all are paths. */
	int (*find_link)(void *data, const char *system, char **ret_path, struct err *err);
	void *data;
};

enum standing {
	STANDING_WINS,
	STANDING_BEATEN,  /* another one comes before it */
	STANDING_USED_UP, /* once-only, and the machine came up with it */
	STANDING_UNKNOWN, /* once-only, and the machine has no name to remember it by */
};

/* An entry that is about the machine, or the fallback. */
struct candidate {
	char *entry;             /* its name; NULL: the fallback */
	enum identity_kind kind; /* as in struct entry */
	enum standing standing;
	char *why; /* a few words, for STANDING_WINS: what it matched */
};

struct assignment {
	VEC(struct candidate) candidates; /* by precedence */
	struct directory directory;
	/* The winner; all of it is unset when there is none: */
	char *entry; /* NULL: the fallback */
	bool found;
	struct rule rule;
	struct err failure; /* why it cannot be booted: nothing else is, then */
	/* The system lies elsewhere: `rule` says which, and assignment_fetched() where it led. */
	bool elsewhere;
	char *toplevel; /* store path, of the specialisation if there is one; NULL: not known yet */
	/* rule.once: what once_give() and once_look() take */
	char *once_entry, *who;
	struct digest mark;
};

#define AUTO_ASSIGNMENT AUTO(assignment_done) struct assignment

void assignment_done(struct assignment *assignment);

/*
 * Decides as the directory is now. A broken entry wins and fails: whoever wrote it did not mean the
 * next one. Fails when the directory, or the record of one-shot assignments, cannot be read.
 */
int assignment_decide(const struct rules *rules, const struct identity *who, struct assignment *ret,
	struct err *err);

/* Tells the toplevel of a system that lay elsewhere. ERR_NOMEM. */
int assignment_fetched(struct assignment *assignment, const char *toplevel, struct err *err);

/* Remembers that a once-only assignment was given out; nothing for others. */
int assignment_give(
	const struct rules *rules, const struct assignment *assignment, struct err *err);

/* Hears of an entry where it leads, or by `failure` why it leads nowhere. Less than 0 ends it. */
typedef int assignment_entry_fn(const struct assignment *assignment, void *data, struct err *err);

/* All entries of the directory, whosever they are. Fails when it cannot be read. */
int assignment_each(
	const struct rules *rules, assignment_entry_fn *each, void *data, struct err *err);

/* "wins", "beaten", "used up", "unknown": for `snowboot explain`. */
const char *standing_name(enum standing standing);

#endif
