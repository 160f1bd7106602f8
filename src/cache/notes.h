/* SPDX-License-Identifier: MIT */
#ifndef CACHE_NOTES_H
#define CACHE_NOTES_H

/*
 * The notes beside the chunks, in memory. Each version of a note goes to a slot of the disk that
 * holds no current one, so the version before stays whole until the new one is.
 */

#include "base/vec.h"
#include "cache/layout.h"

#define NOTES_MAX 24u /* of LAYOUT_NOTE_SLOTS; the one set longest ago makes place */

struct note {
	struct layout_note head; /* sequence 0: never on a disk */
	uint32_t slot;           /* or NOTES_NO_SLOT */
	struct buf bytes;
	bool dirty; /* newer than the disk's */
};
#define NOTES_NO_SLOT UINT32_MAX

struct notes {
	VEC(struct note) list;
	uint64_t sequence; /* the highest */
};

void notes_done(struct notes *notes);
/* NULL when there is none. */
struct note *notes_find(const struct notes *notes, const char *name);
/* Takes over what a slot of the disk holds, unless something newer is known. ERR_NOMEM. */
int notes_load(struct notes *notes, const struct layout_note *head, uint32_t slot,
	const void *bytes, struct err *err);
/* Sets one, dirty unless it is what was there already. ERR_LIMIT: name or contents too long;
 * ERR_NOMEM. */
int notes_set(
	struct notes *notes, const char *name, const void *bytes, size_t len, struct err *err);
/* A note to write, with a new slot and sequence, no longer dirty; NULL when all are written. */
struct note *notes_take_dirty(struct notes *notes);

#endif
