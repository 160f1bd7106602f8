/* SPDX-License-Identifier: MIT */
/*
 * Dependency order of a closure: a depth-first walk that starts at the paths in the order of their
 * names and follows references in the order of theirs, and puts down each path behind what it
 * refers to. So the order depends on names and references alone, not on where they were read from.
 */
#include "nix/path_info.h"

#include <stdlib.h>
#include <string.h>

struct frame {
	size_t item;
	size_t next_ref;
};

enum state { STATE_NEW, STATE_OPEN, STATE_PLACED };

struct sorter {
	struct closure *closure;
	size_t *by_name; /* items in the order of their names */
	size_t *rank;    /* item -> its place in by_name */
	size_t *place;   /* item -> its place in the result */
	uint8_t *state;  /* item -> enum state */
	struct frame *stack;
	size_t depth, placed;
};

static void sorter_done(struct sorter *s)
{
	free(s->by_name);
	free(s->rank);
	free(s->place);
	free(s->state);
	free(s->stack);
}

static int compare_names(const void *a, const void *b, void *data)
{
	const struct path_info *items = data;
	return strcmp(items[*(const size_t *)a].path, items[*(const size_t *)b].path);
}

static int compare_keys(const void *a, const void *b, void *data)
{
	const size_t *keys = data;
	size_t x = keys[*(const size_t *)a], y = keys[*(const size_t *)b];
	return (x > y) - (x < y);
}

static int sorter_init(struct sorter *s, struct closure *closure, struct err *err)
{
	size_t n = closure->len;
	s->closure = closure;
	s->by_name = calloc(n + 1, sizeof(*s->by_name));
	s->rank = calloc(n + 1, sizeof(*s->rank));
	s->place = calloc(n + 1, sizeof(*s->place));
	s->state = calloc(n + 1, sizeof(*s->state));
	s->stack = calloc(n + 1, sizeof(*s->stack));
	if (!s->by_name || !s->rank || !s->place || !s->state || !s->stack)
		return err_oom(err);
	for (size_t i = 0; i < n; i++)
		s->by_name[i] = i;
	qsort_r(s->by_name, n, sizeof(*s->by_name), compare_names, closure->items);
	for (size_t i = 0; i < n; i++)
		s->rank[s->by_name[i]] = i;
	for (size_t i = 0; i < n; i++)
		if (closure->items[i].ref_count > 0) /* else refs may be NULL */
			qsort_r(closure->items[i].refs, closure->items[i].ref_count, sizeof(size_t),
				compare_keys, s->rank);
	return 0;
}

static void push(struct sorter *s, size_t item)
{
	s->state[item] = STATE_OPEN;
	s->stack[s->depth++] = (struct frame){.item = item};
}

/* Takes one step from the top of the stack: into a reference, or places the item. */
static int step(struct sorter *s, struct err *err)
{
	struct frame *top = &s->stack[s->depth - 1];
	const struct path_info *info = &s->closure->items[top->item];
	if (top->next_ref == info->ref_count) {
		s->place[top->item] = s->placed++;
		s->state[top->item] = STATE_PLACED;
		s->depth--;
		return 0;
	}
	size_t ref = info->refs[top->next_ref++];
	if (ref != top->item && s->state[ref] == STATE_OPEN)
		return err_raise(err, ERR_CORRUPT, "'%s' and '%s' refer to each other", info->path,
			s->closure->items[ref].path);
	if (s->state[ref] == STATE_NEW)
		push(s, ref);
	return 0;
}

static int reorder(struct sorter *s, struct err *err)
{
	struct closure *closure = s->closure;
	struct path_info *items = calloc(closure->len + 1, sizeof(*items));
	if (items == NULL)
		return err_oom(err);
	for (size_t i = 0; i < closure->len; i++) {
		struct path_info *info = &closure->items[i];
		for (size_t r = 0; r < info->ref_count; r++)
			info->refs[r] = s->place[info->refs[r]];
		items[s->place[i]] = *info;
	}
	free(closure->items);
	closure->items = items;
	return 0;
}

int closure_sort(struct closure *closure, struct err *err)
{
	AUTO(sorter_done) struct sorter s = {0};
	if (sorter_init(&s, closure, err) < 0)
		return -1;
	for (size_t i = 0; i < closure->len; i++) {
		if (s.state[s.by_name[i]] == STATE_NEW)
			push(&s, s.by_name[i]);
		while (s.depth > 0)
			if (step(&s, err) < 0)
				return -1;
	}
	return reorder(&s, err);
}
