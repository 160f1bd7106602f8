/* SPDX-License-Identifier: MIT */
#ifndef HTTP_PACER_H
#define HTTP_PACER_H

/*
 * The limit of an uplink on an event loop: everything that leaves by it (bodies of the HTTP server,
 * parts on links) asks the same pacer, so that the limit holds for the sum and all take turns.
 */

#include "base/err.h"
#include "http/pace.h"

#include <sys/socket.h>

struct event_base;
struct pacer;

/* Embedded in what sends. */
struct pacer_client {
	struct pace_waiter waiter;
	/* Its turn: it may send so many bytes. Called from the loop. */
	void (*go)(struct pacer_client *client, uint32_t bytes);
};

/* `rate` in bytes a second, not 0. */
int pacer_new(struct event_base *base, uint64_t rate, struct pacer **ret, struct err *err);
/* Nobody may wait any more. NULL is fine; returns NULL. */
struct pacer *pacer_free(struct pacer *pacer);

/* `addr` is whose share it is: an IP address; all others share one. */
void pacer_client_init(struct pacer_client *client, const struct sockaddr *addr,
	void (*go)(struct pacer_client *client, uint32_t bytes));
/* pace_wait() and so on. */
void pacer_wait(struct pacer *pacer, struct pacer_client *client);
void pacer_leave(struct pacer *pacer, struct pacer_client *client);
void pacer_return(struct pacer *pacer, uint64_t bytes);
void pacer_spend(struct pacer *pacer, uint64_t bytes);

#endif
