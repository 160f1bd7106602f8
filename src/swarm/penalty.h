/* SPDX-License-Identifier: MIT */
#ifndef SWARM_PENALTY_H
#define SWARM_PENALTY_H

/* How long something that failed is left alone: twice as long each time. Zeroed memory is fine. */

#include <stdint.h>

#define PENALTY_MIN_MS 500u
#define PENALTY_STEP_MAX_MS 10000u /* by doubling: who comes back is found soon */
#define PENALTY_MAX_MS 60000u      /* when it is asked for */

struct penalty {
	unsigned failures; /* in a row */
	uint64_t until_us;
};

/* For how long from now: 0 when it is over. */
static inline unsigned penalty_left_ms(const struct penalty *p, uint64_t now_us)
{
	return now_us < p->until_us ? (unsigned)((p->until_us - now_us + 999) / 1000) : 0;
}

/*
 * It failed; `asked_ms` is for how long it wants to be left alone at least. Returns for how long it
 * is, or 0 when that was decided already: requests that run side by side fail together.
 */
static inline unsigned penalty_add(struct penalty *p, uint64_t now_us, unsigned asked_ms)
{
	if (penalty_left_ms(p, now_us) > 0)
		return 0;
	unsigned ms = PENALTY_MIN_MS << (p->failures < 7 ? p->failures : 7);
	if (ms > PENALTY_STEP_MAX_MS)
		ms = PENALTY_STEP_MAX_MS;
	if (ms < asked_ms)
		ms = asked_ms;
	if (ms > PENALTY_MAX_MS)
		ms = PENALTY_MAX_MS;
	p->failures++;
	p->until_us = now_us + (uint64_t)ms * 1000;
	return ms;
}

#endif
