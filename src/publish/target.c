/* SPDX-License-Identifier: MIT */
/* What targets have in common: the choice of a kind, and lists of what is there. */
#include "publish/target.h"

#include <string.h>

void target_list_done(struct target_list *list)
{
	VEC_FOREACH(entry, &list->entries)
		free(entry->name);
	vec_done(&list->entries);
}

int target_list_add(
	struct target_list *list, const char *name, size_t len, uint64_t size, struct err *err)
{
	struct target_entry entry = {.name = strndup(name, len), .size = size};
	if (entry.name == NULL)
		return err_oom(err);
	if (vec_push(&list->entries, entry, err) == 0)
		return 0;
	free(entry.name);
	return -1;
}

static int compare(const void *a, const void *b)
{
	return strcmp(
		((const struct target_entry *)a)->name, ((const struct target_entry *)b)->name);
}

void target_list_sort(struct target_list *list)
{
	if (list->entries.len > 1)
		qsort(list->entries.items, list->entries.len, sizeof(*list->entries.items),
			compare);
}

const struct target_entry *target_list_find(const struct target_list *list, const char *name)
{
	const struct target_entry key = {.name = (char *)(uintptr_t)name};
	return list->entries.len == 0
		? NULL
		: bsearch(&key, list->entries.items, list->entries.len, sizeof(key), compare);
}

int target_open(const char *name, const struct target_s3 *s3, struct target **ret, struct err *err)
{
	if (strncmp(name, "s3://", 5) == 0)
		return s3_open(name, s3, ret, err);
	if (strstr(name, "://") != NULL) {
		err_raise(err, ERR_USAGE, "cannot publish to '%s'", name);
		return err_hint(err, "name a directory, or a bucket like s3://BUCKET/PREFIX");
	}
	return directory_open(name, ret, err);
}

struct target *target_close(struct target *target)
{
	if (target != NULL)
		target->ops->close(target);
	return NULL;
}
