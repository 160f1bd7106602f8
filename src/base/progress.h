/* SPDX-License-Identifier: MIT */
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

/*
 * How long work tells how far it is. Libraries call the progress_* functions with whatever they
 * were given; NULL says nothing. The command line program renders (bar, lines, JSON). Calls come
 * from one thread at a time.
 */

#include <stddef.h>
#include <stdint.h>

struct progress {
	/* A step begins: "compress", with its size in `unit`s ("bytes", "paths"; total 0: unknown).
	 */
	void (*begin)(struct progress *p, const char *step, uint64_t total, const char *unit);
	/* `done` units in all are finished; `subject` is what is being worked on, or NULL. */
	void (*update)(struct progress *p, uint64_t done, const char *subject);
	void (*end)(struct progress *p);
};

static inline void progress_begin(
	struct progress *p, const char *step, uint64_t total, const char *unit)
{
	if (p != NULL)
		p->begin(p, step, total, unit);
}

static inline void progress_update(struct progress *p, uint64_t done, const char *subject)
{
	if (p != NULL)
		p->update(p, done, subject);
}

static inline void progress_end(struct progress *p)
{
	if (p != NULL)
		p->end(p);
}

#endif
