/* SPDX-License-Identifier: MIT */
/*
 * Removing what is no longer published. What manifests there are decides, and their records say
 * what each needs. Whoever wants a system gone removes its manifest.
 */
#include "publish/publish.h"

#include "base/path.h"
#include "publish/record.h"

#include <string.h>

#define MANIFESTS "v1/manifests/"

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool has(const struct strvec *sorted, const char *name)
{
	return sorted->len > 0 &&
		bsearch(&name, sorted->items, sorted->len, sizeof(*sorted->items), compare) != NULL;
}

/* Everything that published manifests need, sorted. */
static int find_needed(struct target *target, struct strvec *needed, struct err *err)
{
	AUTO_TARGET_LIST manifests = {0};
	if (target->ops->list(target, MANIFESTS, &manifests, err) < 0)
		return -1;
	VEC_FOREACH(manifest, &manifests.entries) {
		const char *name = manifest->name + strlen(MANIFESTS);
		int found = record_read(target, name, needed, err);
		if (found < 0)
			return -1;
		if (found == 0) {
			err_raise(err, ERR_NOT_FOUND, "nothing says what the manifest '%s' needs",
				name);
			return err_hint(err,
				"publish that system again, or remove 'v1/manifests/%s'", name);
		}
		if (strvec_push_take(needed, path_printf(err, RECORD_FOLDER "%s", name), err) < 0)
			return -1;
	}
	strvec_sort(needed);
	return 0;
}

static int sweep(struct target *target, const char *prefix, const struct strvec *needed,
	struct publish_result *result, struct err *err)
{
	AUTO_TARGET_LIST there = {0};
	if (target->ops->list(target, prefix, &there, err) < 0)
		return -1;
	VEC_FOREACH(entry, &there.entries) {
		if (has(needed, entry->name))
			continue;
		if (target->ops->remove(target, entry->name, err) < 0)
			return -1;
		result->removed++;
		result->removed_bytes += entry->size;
	}
	return 0;
}

int publish_gc(struct target *target, struct publish_result *result, struct err *err)
{
	static const char *const prefixes[] = {
		"boot/", "v1/profiles/", RECORD_FOLDER, "v1/objects/"};
	AUTO_STRVEC needed = {0};
	if (find_needed(target, &needed, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (sweep(target, prefixes[i], &needed, result, err) < 0)
			return -1;
	return 0;
}
