/* SPDX-License-Identifier: MIT */
/* By the median, so that one boot that did something else first moves nothing. */
#include "serve/profile_merge.h"

#include "serve/profiles.h"

#include <stdlib.h>

/* One touch of one report, for the merge. */
struct mention {
	struct digest chunk;
	uint32_t report, place;
};

/* A chunk and where the reports see it. */
struct merged {
	struct digest chunk;
	uint32_t median;
};

static int compare_mentions(const void *a, const void *b)
{
	const struct mention *x = a, *y = b;
	int r = digest_compare(&x->chunk, &y->chunk);
	if (r != 0)
		return r;
	if (x->report != y->report)
		return x->report < y->report ? -1 : 1;
	return x->place < y->place ? -1 : x->place > y->place;
}

static int compare_merged(const void *a, const void *b)
{
	const struct merged *x = a, *y = b;
	if (x->median != y->median)
		return x->median < y->median ? -1 : 1;
	return digest_compare(&x->chunk, &y->chunk);
}

static int compare_places(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

typedef VEC(struct mention) mention_list;
typedef VEC(struct merged) merged_list;

/* All mentions of one chunk: its median place, unless most reports do without it. */
static int merge_one(const struct mention *first, const struct mention *end, size_t reports,
	merged_list *out, struct err *err)
{
	uint32_t places[PROFILE_REPORTS];
	size_t count = 0;
	for (const struct mention *m = first; m < end; m++)
		if (m == first || m->report != m[-1].report) /* twice in one report: the first */
			places[count++] = m->place;
	if (reports >= 3 && 2 * count < reports)
		return 0;
	qsort(places, count, sizeof(places[0]), compare_places);
	const struct merged merged = {.chunk = first->chunk, .median = places[(count - 1) / 2]};
	return vec_push(out, merged, err);
}

/* Every mention, those of one chunk together, in the order of their reports. */
static int gather(const profile_touches *reports, size_t count, mention_list *out, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t n = 0; n < reports[i].len; n++) {
			const struct mention m = {reports[i].items[n], (uint32_t)i, (uint32_t)n};
			if (vec_push(out, m, err) < 0)
				return -1;
		}
	}
	if (out->len > 0)
		qsort(out->items, out->len, sizeof(out->items[0]), compare_mentions);
	return 0;
}

int profile_merge(
	const profile_touches *reports, size_t count, profile_touches *out, struct err *err)
{
	mention_list mentions = {0};
	merged_list merged = {0};
	int r = gather(reports, count, &mentions, err);
	const struct mention *end = mentions.items + mentions.len;
	for (const struct mention *m = mentions.items, *next; m < end && r == 0; m = next) {
		next = m + 1;
		while (next < end && digest_equal(&next->chunk, &m->chunk))
			next++;
		r = merge_one(m, next, count, &merged, err);
	}
	vec_done(&mentions);
	if (merged.len > 0)
		qsort(merged.items, merged.len, sizeof(merged.items[0]), compare_merged);
	for (size_t i = 0; i < merged.len && r == 0; i++)
		r = vec_push(out, merged.items[i].chunk, err);
	vec_done(&merged);
	return r;
}
