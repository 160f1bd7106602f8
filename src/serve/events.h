/* SPDX-License-Identifier: MIT */
#ifndef SERVE_EVENTS_H
#define SERVE_EVENTS_H

/* The latest steps of machines as lines of JSON, for who asks what is new. */

#include "base/buf.h"

#include <stdint.h>

#define EVENTS_KEPT 4096

/* Zeroed memory is an empty one. Events count from 1. */
struct events {
	char *lines[EVENTS_KEPT]; /* event n at n % EVENTS_KEPT */
	uint64_t last;
};

void events_done(struct events *events);
/* Takes a JSON object over; NULL is passed over. */
void events_put(struct events *events, char *take_line);
/* The number of the first event behind `after` that is kept; last + 1: none. One that never was
 * (after a restart of the server) is taken for 0. */
uint64_t events_first(const struct events *events, uint64_t after);
/* Event n, which is kept: a JSON object. */
const char *events_line(const struct events *events, uint64_t n);
/*
 * Appends the events behind `after` that are kept, a line each: {"event":N,…}. Returns how many.
 * ERR_NOMEM.
 */
int events_since(const struct events *events, uint64_t after, struct buf *out, size_t *ret_count,
	struct err *err);

#endif
