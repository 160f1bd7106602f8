/* SPDX-License-Identifier: MIT */
#ifndef SOURCE_NOTARY_H
#define SOURCE_NOTARY_H

/*
 * Checks in threads of its own whether narinfos are to be believed. A signature takes longer than
 * everything else that a narinfo needs, so many small ones would wait for that.
 */

#include "source/caches_parts.h"

#define NOTARY_MAX 32 /* narinfos that may wait at a time */

/* One answer of a cache: what it says, or why that is nothing. */
struct answer {
	struct cached_path path;
	const char *url; /* for messages, borrowed */
	struct err failure;
	bool judged; /* the notary's */
};
void answer_done(struct answer *answer);

struct notary;

/* Borrows `trust`. */
int notary_new(const struct trust *trust, struct notary **ret, struct err *err);
/* NULL is fine; returns NULL. What is not judged yet stays so. */
struct notary *notary_free(struct notary *notary);

/* Hands an answer without failure over, which stays where it is until it is judged. */
void notary_submit(struct notary *notary, struct answer *answer);
bool notary_has_judged(struct notary *notary, const struct answer *answer);
/* Waits for its judgement, which is in answer->failure. */
void notary_await(struct notary *notary, const struct answer *answer);

#endif
