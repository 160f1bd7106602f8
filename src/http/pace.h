/* SPDX-License-Identifier: MIT */
#ifndef HTTP_PACE_H
#define HTTP_PACE_H

/*
 * A limit of bytes a second, and whose turn it is: addresses one after the other, and the
 * connections of one address one after the other, so that opening more of them gains nothing. What
 * one does not use, the others have. No clock of its own and no I/O.
 */

#include <stdint.h>
#include <sys/queue.h>

TAILQ_HEAD(pace_waiters, pace_waiter);

/* Somebody who has bytes to send. Zeroed except for the address. */
struct pace_waiter {
	TAILQ_ENTRY(pace_waiter) entry; /* in the ring, or among the others of a head */
	struct pace_waiters others;     /* of a head: of the same address, in order */
	struct pace_waiter *head;       /* in the ring for this address; NULL: does not wait */
	uint8_t address[16];
};

struct pace {
	uint64_t rate;      /* bytes a second, not 0 */
	int64_t tokens;     /* bytes that may go now; below 0: went in advance */
	uint64_t filled_us; /* when tokens were counted last */
	struct pace_waiters ring;
};

void pace_init(struct pace *pace, uint64_t rate, uint64_t now_us);
/* Bytes of one turn. */
uint32_t pace_quantum(const struct pace *pace);

/* Waits for a turn; who waits already keeps its place. */
void pace_wait(struct pace *pace, struct pace_waiter *waiter);
/* Waits no longer; who does not is fine. */
void pace_leave(struct pace *pace, struct pace_waiter *waiter);

/*
 * Whose turn it is: that one waits no longer and may send pace_quantum() bytes. NULL: nobody now;
 * *ret_later_us is when to look again, UINT64_MAX when nobody waits.
 */
struct pace_waiter *pace_next(struct pace *pace, uint64_t now_us, uint64_t *ret_later_us);
/* Bytes of a turn that were not sent. */
void pace_return(struct pace *pace, uint64_t bytes);
/* Bytes that went without a turn: small ones do not wait, but count. */
void pace_spend(struct pace *pace, uint64_t bytes);

#endif
