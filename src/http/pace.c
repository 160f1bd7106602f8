/* SPDX-License-Identifier: MIT */
/*
 * A token bucket and a ring of rings. A turn is given as soon as the bucket is not empty, and may
 * overdraw it: over time that is exact, and nobody with a large turn waits for a full bucket.
 */
#include "http/pace.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define QUANTUM_MIN (16u * 1024)
#define QUANTUM_MAX (256u * 1024)
#define QUANTA 400u /* a second, between the bounds */
#define BURSTS 20u  /* the bucket holds a second's share of this */

void pace_init(struct pace *pace, uint64_t rate, uint64_t now_us)
{
	*pace = (struct pace){.rate = rate, .filled_us = now_us};
	TAILQ_INIT(&pace->ring);
}

uint32_t pace_quantum(const struct pace *pace)
{
	uint64_t quantum = pace->rate / QUANTA;
	if (quantum < QUANTUM_MIN)
		return QUANTUM_MIN;
	return quantum < QUANTUM_MAX ? (uint32_t)quantum : QUANTUM_MAX;
}

static struct pace_waiter *find_head(const struct pace *pace, const uint8_t address[16])
{
	struct pace_waiter *head;
	TAILQ_FOREACH(head, &pace->ring, entry)
		if (memcmp(head->address, address, sizeof(head->address)) == 0)
			return head;
	return NULL;
}

void pace_wait(struct pace *pace, struct pace_waiter *waiter)
{
	if (waiter->head != NULL)
		return;
	struct pace_waiter *head = find_head(pace, waiter->address);
	if (head != NULL) {
		waiter->head = head;
		TAILQ_INSERT_TAIL(&head->others, waiter, entry);
		return;
	}
	waiter->head = waiter;
	TAILQ_INIT(&waiter->others);
	TAILQ_INSERT_TAIL(&pace->ring, waiter, entry);
}

/* Takes a head out of the ring; the next of its address goes to the ring's end, or to its place. */
static void remove_head(struct pace *pace, struct pace_waiter *head, bool to_end)
{
	struct pace_waiter *heir = TAILQ_FIRST(&head->others), *w;
	if (heir != NULL) {
		TAILQ_REMOVE(&head->others, heir, entry);
		TAILQ_INIT(&heir->others);
		TAILQ_CONCAT(&heir->others, &head->others, entry);
		TAILQ_FOREACH(w, &heir->others, entry)
			w->head = heir;
		heir->head = heir;
		if (to_end)
			TAILQ_INSERT_TAIL(&pace->ring, heir, entry);
		else
			TAILQ_INSERT_AFTER(&pace->ring, head, heir, entry);
	}
	TAILQ_REMOVE(&pace->ring, head, entry);
	head->head = NULL;
}

void pace_leave(struct pace *pace, struct pace_waiter *waiter)
{
	if (waiter->head == waiter)
		remove_head(pace, waiter, false);
	else if (waiter->head != NULL)
		TAILQ_REMOVE(&waiter->head->others, waiter, entry);
	waiter->head = NULL;
}

static int64_t burst(const struct pace *pace)
{
	uint64_t bytes = pace->rate / BURSTS;
	return bytes > pace_quantum(pace) ? (int64_t)bytes : (int64_t)pace_quantum(pace);
}

static void fill(struct pace *pace, uint64_t now_us)
{
	uint64_t passed = now_us > pace->filled_us ? now_us - pace->filled_us : 0;
	unsigned __int128 bytes = (unsigned __int128)passed * pace->rate / 1000000;
	unsigned __int128 room = (unsigned __int128)((__int128)burst(pace) - pace->tokens);
	if (bytes == 0)
		return;
	if (pace->tokens >= burst(pace) || bytes >= room) {
		pace->tokens = pace->tokens > burst(pace) ? pace->tokens : burst(pace);
		pace->filled_us = now_us;
		return;
	}
	pace->tokens += (int64_t)bytes;
	/* Only the time of whole bytes has passed. */
	pace->filled_us += (uint64_t)(bytes * 1000000 / pace->rate);
}

struct pace_waiter *pace_next(struct pace *pace, uint64_t now_us, uint64_t *ret_later_us)
{
	struct pace_waiter *next = TAILQ_FIRST(&pace->ring);
	fill(pace, now_us);
	*ret_later_us = UINT64_MAX;
	if (next == NULL)
		return NULL;
	if (pace->tokens <= 0) {
		unsigned __int128 us = (unsigned __int128)(1 - pace->tokens) * 1000000;
		*ret_later_us = pace->filled_us + (uint64_t)(us / pace->rate) + 1;
		return NULL;
	}
	remove_head(pace, next, true);
	pace->tokens -= pace_quantum(pace);
	return next;
}

void pace_return(struct pace *pace, uint64_t bytes)
{
	pace->tokens += (int64_t)bytes;
}

void pace_spend(struct pace *pace, uint64_t bytes)
{
	pace->tokens -= (int64_t)bytes;
}
