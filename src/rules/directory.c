/* SPDX-License-Identifier: MIT */
/*
 * Read anew each time: whatever is changed counts from the next question on. Names are compared as
 * machines, not as text, so AA-BB-… and aa:bb:…are the same.
 */
#include "rules/directory.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

void directory_done(struct directory *directory)
{
	VEC_FOREACH(entry, &directory->matches)
		free(entry->name);
	vec_done(&directory->matches);
	strvec_done(&directory->odd);
	*directory = (struct directory){0};
}

/* The name less its suffix; false when it is too long to be one. */
static bool stem(const char *name, char ret[IDENTITY_NAME_SIZE])
{
	static const char suffix[] = ".json";
	size_t len = strlen(name), less = sizeof(suffix) - 1;
	if (len > less && strcmp(name + len - less, suffix) == 0)
		len -= less;
	if (len >= IDENTITY_NAME_SIZE)
		return false;
	memcpy(ret, name, len);
	ret[len] = '\0';
	return true;
}

/* A name that is looked at: 1 when it is an entry's, with `value` unless it is "default". */
typedef int name_fn(const char *name, bool is_entry, enum identity_kind kind, const char *value,
	void *data, struct err *err);

static int look(const char *name, name_fn *take, void *data, struct err *err)
{
	char text[IDENTITY_NAME_SIZE], value[IDENTITY_TEXT_SIZE] = "";
	enum identity_kind kind = IDENTITIES;
	bool is_entry = stem(name, text) &&
		(strcmp(text, "default") == 0 || identity_parse(text, &kind, value));
	return take(name, is_entry, kind, value, data, err);
}

static int look_at_all(const char *path, name_fn *take, void *data, struct err *err)
{
	AUTO_DIR *dir = fd_opendir(AT_FDCWD, path);
	size_t count = 0;
	if (dir == NULL)
		return err_sys(err, "cannot read the machines' directory '%s'", path);
	for (;;) {
		errno = 0;
		const struct dirent *e = readdir(dir);
		if (e == NULL)
			return errno == 0
				? 0
				: err_sys(err, "cannot read the machines' directory '%s'", path);
		if (e->d_name[0] == '.')
			continue;
		if (++count > ENTRIES_MAX)
			return err_raise(err, ERR_LIMIT,
				"the machines' directory '%s' has more than %d entries", path,
				ENTRIES_MAX);
		if (look(e->d_name, take, data, err) < 0)
			return -1;
	}
}

struct search {
	const struct identity *who;
	struct directory found;
};

static int add(struct directory *d, const char *name, enum identity_kind kind, struct err *err)
{
	struct entry entry = {.name = strdup(name), .kind = kind};
	if (entry.name == NULL)
		return err_oom(err);
	if (vec_push(&d->matches, entry, err) < 0) {
		free(entry.name);
		return -1;
	}
	return 0;
}

static int match(const char *name, bool is_entry, enum identity_kind kind, const char *value,
	void *data, struct err *err)
{
	struct search *s = data;
	if (!is_entry)
		return strvec_push(&s->found.odd, name, err);
	if (kind == IDENTITIES || identity_same(s->who->text[kind], value))
		return add(&s->found, name, kind, err);
	s->found.others++;
	return 0;
}

static int by_precedence(const void *a, const void *b)
{
	const struct entry *one = a, *two = b;
	if (one->kind != two->kind)
		return one->kind < two->kind ? -1 : 1;
	return strcmp(one->name, two->name);
}

int directory_read(
	const char *path, const struct identity *who, struct directory *ret, struct err *err)
{
	struct search s = {.who = who};
	if (look_at_all(path, match, &s, err) < 0) {
		directory_done(&s.found);
		return -1;
	}
	struct directory *d = &s.found;
	if (d->matches.len > 1)
		qsort(d->matches.items, d->matches.len, sizeof(*d->matches.items), by_precedence);
	strvec_sort(&d->odd);
	*ret = *d;
	return 0;
}

struct walk {
	directory_entry_fn *each;
	void *data;
};

static int pass_on(const char *name, bool is_entry, enum identity_kind kind, const char *value,
	void *data, struct err *err)
{
	const struct walk *w = data;
	const struct entry entry = {.name = (char *)name, .kind = kind};
	(void)value;
	return is_entry ? w->each(&entry, w->data, err) : 0;
}

int directory_each(const char *dir, directory_entry_fn *each, void *data, struct err *err)
{
	struct walk walk = {.each = each, .data = data};
	return look_at_all(dir, pass_on, &walk, err);
}
