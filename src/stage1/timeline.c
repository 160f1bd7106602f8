/* SPDX-License-Identifier: MIT */
/*
 * The steps of a boot and their times. A fixed array: stage 1 has about a dozen steps, and telling
 * the time must not fail for want of memory.
 */
#include "stage1/timeline.h"

#include "base/log.h"

#include <inttypes.h>
#include <time.h>

uint64_t timeline_now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void timeline_begin(struct timeline *timeline, const char *name)
{
	uint64_t now = timeline_now_us();
	if (timeline->len > 0) {
		struct timeline_step *last = &timeline->steps[timeline->len - 1];
		if (last->end_us == 0) {
			last->end_us = now;
			uint64_t us = now - last->begin_us;
			log_info("%s: %" PRIu64 ".%03" PRIu64 " ms", last->name, us / 1000,
				us % 1000);
		}
	}
	if (name != NULL && timeline->len < TIMELINE_STEPS_MAX)
		timeline->steps[timeline->len++] = (struct timeline_step){name, now, 0};
}

void timeline_restart(struct timeline *timeline)
{
	*timeline = (struct timeline){.attempt = timeline->attempt + 1};
}

int timeline_json(const struct timeline *timeline, const char *kind, const char *system,
	struct buf *out, struct err *err)
{
	/* Store paths have no character that JSON escapes (nix: libstore path.cc). */
	if (buf_printf(out, err,
		    "{\"version\":1,\"kind\":\"%s\",\"system\":\"%s\",\"attempt\":%u,\"steps\":[",
		    kind, system, timeline->attempt) < 0)
		return -1;
	for (size_t i = 0; i < timeline->len; i++) {
		const struct timeline_step *step = &timeline->steps[i];
		if (buf_printf(out, err,
			    "%s\n{\"name\":\"%s\",\"begin_us\":%" PRIu64 ",\"end_us\":%" PRIu64 "}",
			    i > 0 ? "," : "", step->name, step->begin_us, step->end_us) < 0)
			return -1;
	}
	return buf_put_str(out, "]}\n", err);
}
