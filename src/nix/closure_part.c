/* SPDX-License-Identifier: MIT */
/* The closure of a path inside of another closure, by the references that are at hand. */
#include "nix/closure_part.h"

#include <string.h>

/* References stand before what refers to them, so one pass from the end sees all. */
static void mark(const struct closure *closure, size_t root, size_t *places)
{
	places[root] = 1;
	for (size_t i = root + 1; i-- > 0;)
		for (size_t j = 0; places[i] != 0 && j < closure->items[i].ref_count; j++)
			places[closure->items[i].refs[j]] = 1;
}

/* Moves the marked items to the front, and makes the marks their new places. */
static size_t move(struct closure *closure, size_t *places)
{
	size_t kept = 0;
	for (size_t i = 0; i < closure->len; i++) {
		struct path_info item = closure->items[i];
		if (places[i] == 0) {
			path_info_done(&item);
			continue;
		}
		places[i] = kept;
		closure->items[kept++] = item;
	}
	return kept;
}

int closure_keep_part(struct closure *closure, const char *path, struct err *err)
{
	size_t root = 0;
	while (root < closure->len && strcmp(closure->items[root].path, path) != 0)
		root++;
	if (root == closure->len)
		return err_raise(err, ERR_NOT_FOUND, "'%s' is not in the closure", path);
	AUTO_FREE size_t *places = calloc(closure->len, sizeof(*places));
	if (places == NULL)
		return err_oom(err);
	mark(closure, root, places);
	closure->len = move(closure, places);
	for (size_t i = 0; i < closure->len; i++)
		for (size_t j = 0; j < closure->items[i].ref_count; j++)
			closure->items[i].refs[j] = places[closure->items[i].refs[j]];
	return 0;
}
