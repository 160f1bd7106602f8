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

/* Room for the texts below. */
#define PROGRESS_BYTES_SIZE 16
#define PROGRESS_PACE_SIZE 64

struct progress {
	/* A step begins: "compress", with its size in `unit`s ("bytes", "paths"; total 0: unknown).
	 */
	void (*begin)(struct progress *p, const char *step, uint64_t total, const char *unit);
	/* `done` units in all are finished; `subject` is what is being worked on, or NULL. */
	void (*update)(struct progress *p, uint64_t done, const char *subject);
	void (*end)(struct progress *p);
};

/* What there is to judge by, since the step's begin. */
struct progress_pace {
	uint64_t done, total; /* in units; total 0: unknown */
	double seconds;
	const char *unit;
};

/* Units a second, on average; 0: too early to tell. */
double progress_rate(const struct progress_pace *pace);
/* Seconds that it still takes at that rate; -1: cannot be told. */
double progress_left(const struct progress_pace *pace);
/*
 * ", 5.1 MiB/s, 6 s left" to stand behind how far it is; ", 12 paths/s" when the total is unknown;
 * "" when it is too early. Returns `out`.
 */
char *progress_pace_text(const struct progress_pace *pace, char out[PROGRESS_PACE_SIZE]);

/* "1.4 GiB", "312 B"; returns `out`. */
char *progress_format_bytes(unsigned long long bytes, char out[PROGRESS_BYTES_SIZE]);

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
