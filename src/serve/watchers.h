/* SPDX-License-Identifier: MIT */
#ifndef SERVE_WATCHERS_H
#define SERVE_WATCHERS_H

/*
 * Who follows the events as they come: server-sent events (HTML Standard, section 9.2), one
 * `id: N` and `data: {…}` for each. What a watcher does not take stays in the ring of events only,
 * so one that reads too slowly costs no more than another, and sees by the numbers what it missed.
 */

#include "serve/events.h"

struct event_base;
struct watchers;
struct watcher; /* one of them */

#define WATCHERS_TYPE "text/event-stream"
#define WATCHERS_MAX 64

/* `events` are borrowed. ERR_NOMEM. */
int watchers_new(struct event_base *base, const struct events *events, struct watchers **ret,
	struct err *err);
/* Closes their connections. NULL is fine; returns NULL. */
struct watchers *watchers_free(struct watchers *watchers);

/* No more: each gets what there is, as far as its socket takes it, and its connection is closed. */
void watchers_end(struct watchers *watchers);

/* There are new events. */
void watchers_tell(struct watchers *watchers);

/*
 * One more, who wants the events behind `after`; it gets none before watcher_begin(). ERR_AGAIN
 * when there are WATCHERS_MAX already.
 */
int watcher_new(struct watchers *watchers, uint64_t after, struct watcher **ret, struct err *err);
/* Its connection, on which the answer's head is out. The watcher ends with it, by itself. */
void watcher_begin(struct watcher *watcher, int take_fd);
/* For one that never began. NULL is fine. */
void watcher_free(struct watcher *watcher);

#endif
