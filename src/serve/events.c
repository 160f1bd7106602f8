/* SPDX-License-Identifier: MIT */
/* A ring: who reads too seldom misses the oldest and sees it by the numbers. */
#include "serve/events.h"

#include <inttypes.h>
#include <stdlib.h>

void events_done(struct events *events)
{
	for (size_t i = 0; i < EVENTS_KEPT; i++)
		free(events->lines[i]);
	*events = (struct events){0};
}

void events_put(struct events *events, char *take_line)
{
	if (take_line == NULL)
		return;
	char **slot = &events->lines[++events->last % EVENTS_KEPT];
	free(*slot);
	*slot = take_line;
}

uint64_t events_first(const struct events *events, uint64_t after)
{
	if (after > events->last)
		after = 0;
	if (events->last - after > EVENTS_KEPT)
		after = events->last - EVENTS_KEPT;
	return after + 1;
}

const char *events_line(const struct events *events, uint64_t n)
{
	return events->lines[n % EVENTS_KEPT];
}

int events_since(const struct events *events, uint64_t after, struct buf *out, size_t *ret_count,
	struct err *err)
{
	size_t count = 0;
	for (uint64_t n = events_first(events, after); n <= events->last; n++, count++)
		if (buf_printf(out, err, "{\"event\":%" PRIu64 ",%s\n", n,
			    events_line(events, n) + 1) < 0)
			return -1;
	*ret_count = count;
	return 0;
}
