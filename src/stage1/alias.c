/* SPDX-License-Identifier: MIT */
/*
 * Thousands of glob patterns, matched for hundreds of devices. Patterns are sorted by the
 * characters before their first wildcard; a name is looked up by binary search once for each such
 * length that occurs, and only what shares that prefix is given to fnmatch().
 */
#include "stage1/alias.h"

#include <fnmatch.h>
#include <string.h>

void alias_index_done(struct alias_index *index)
{
	vec_done(&index->aliases);
	*index = (struct alias_index){0};
}

void alias_normalize(char *name)
{
	bool bracket = false;
	for (; *name != '\0'; name++) {
		if (*name == '[')
			bracket = true;
		else if (*name == ']')
			bracket = false;
		else if (*name == '-' && !bracket)
			*name = '_';
	}
}

int alias_index_add(struct alias_index *index, char *pattern, const char *module, struct err *err)
{
	alias_normalize(pattern);
	struct alias alias = {pattern, strcspn(pattern, "*?["), module};
	if (alias.literal > ALIAS_LITERAL_MAX)
		alias.literal = ALIAS_LITERAL_MAX;
	index->literals[alias.literal] = true;
	index->sorted = false;
	return vec_push(&index->aliases, alias, err);
}

/* By literal prefix, then by its length, so that equal prefixes lie together. */
static int compare(const void *left, const void *right)
{
	const struct alias *a = left, *b = right;
	size_t common = a->literal < b->literal ? a->literal : b->literal;
	int order = memcmp(a->pattern, b->pattern, common);
	return order != 0 ? order : (a->literal > b->literal) - (a->literal < b->literal);
}

/* The first alias whose literal prefix is not before the first `len` characters of name. */
static size_t lower_bound(const struct alias_index *index, const struct alias *key)
{
	size_t low = 0, high = index->aliases.len;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare(&index->aliases.items[middle], key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int match_literal(const struct alias_index *index, const struct alias *key,
	struct strvec *modules, struct err *err)
{
	for (size_t i = lower_bound(index, key); i < index->aliases.len; i++) {
		const struct alias *alias = &index->aliases.items[i];
		if (compare(alias, key) != 0)
			break;
		if (fnmatch(alias->pattern + alias->literal, key->pattern + key->literal, 0) != 0)
			continue;
		if (!strvec_has(modules, alias->module) &&
			strvec_push(modules, alias->module, err) < 0)
			return -1;
	}
	return 0;
}

int alias_index_match(
	struct alias_index *index, const char *name, struct strvec *modules, struct err *err)
{
	if (!index->sorted && index->aliases.len > 1)
		qsort(index->aliases.items, index->aliases.len, sizeof(struct alias), compare);
	index->sorted = true;
	AUTO_FREE char *copy = strdup(name);
	if (copy == NULL)
		return err_oom(err);
	alias_normalize(copy);
	size_t len = strlen(copy);
	for (size_t n = 0; n <= len && n <= ALIAS_LITERAL_MAX; n++) {
		const struct alias key = {copy, n, NULL};
		if (index->literals[n] && match_literal(index, &key, modules, err) < 0)
			return -1;
	}
	return 0;
}
