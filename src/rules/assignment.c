/* SPDX-License-Identifier: MIT */
/*
 * Entries that are about the machine, the most particular kind of name first; the first that is not
 * used up wins. Knows nothing of boots: what the system is served as is for others.
 */
#include "rules/assignment.h"

#include "base/fd.h"
#include "base/path.h"
#include "rules/once.h"
#include "system/system.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define STORE_DIR "/nix/store"

void assignment_done(struct assignment *a)
{
	VEC_FOREACH(candidate, &a->candidates) {
		free(candidate->entry);
		free(candidate->why);
	}
	vec_done(&a->candidates);
	directory_done(&a->directory);
	rule_done(&a->rule);
	free(a->entry);
	free(a->toplevel);
	free(a->once_entry);
	free(a->who);
	*a = (struct assignment){0};
}

const char *standing_name(enum standing standing)
{
	static const char *const names[] = {
		[STANDING_WINS] = "wins",
		[STANDING_BEATEN] = "beaten",
		[STANDING_USED_UP] = "used up",
		[STANDING_UNKNOWN] = "unknown",
	};
	return names[standing];
}

/* 1 and what to follow, or 0: it lies elsewhere. */
static int find_link(const struct rules *rules, const char *system, char **ret, struct err *err)
{
	if (rules->find_link != NULL)
		return rules->find_link(rules->data, system, ret, err);
	*ret = strdup(system);
	return *ret != NULL ? 1 : err_oom(err);
}

/*
 * What a machine file says. Paths there are relative to its directory, as the target of a symlink
 * would be; they go before all other names.
 */
static int find_system(const struct rules *rules, struct assignment *a, struct err *err)
{
	struct stat st;
	const char *system = a->rule.system;
	AUTO_FREE char *path =
		system[0] == '/' ? strdup(system) : path_printf(err, "%s/%s", rules->dir, system);
	AUTO_FREE char *link = NULL;
	if (path == NULL)
		return err_clean(err) ? err_oom(err) : -1;
	bool is_path = system[0] == '/' || lstat(path, &st) == 0;
	int found = find_link(rules, is_path ? path : system, &link, err);
	if (found < 0)
		return -1;
	a->elsewhere = found == 0;
	if (a->elsewhere)
		return 0;
	/* What is found nowhere is looked for where a path would be. */
	bool named = !is_path && strcmp(link, system) != 0;
	free(a->rule.system);
	a->rule.system = named ? TAKE_PTR(link) : TAKE_PTR(path);
	return 0;
}

/* A file that is written again is another assignment, also with the same words. */
static struct digest mark_of(const struct buf *text, const struct stat *st)
{
	struct sha256_ctx ctx;
	char when[64];
	int len = snprintf(when, sizeof(when), "%lld.%09ld\n", (long long)st->st_mtim.tv_sec,
		st->st_mtim.tv_nsec);
	sha256_init(&ctx);
	sha256_update(&ctx, (size_t)len, (const uint8_t *)when);
	sha256_update(&ctx, text->len, text->data);
	return digest_finish(&ctx);
}

static int read_file(
	const struct rules *rules, const char *path, struct assignment *a, struct err *err)
{
	AUTO_FD int fd = -1;
	AUTO_BUF text = {0};
	struct stat st;
	ERR_SCOPE(err, "machine file '%s'", path);
	/* One descriptor for contents and time: a rename in between changes neither. */
	if (fd_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, &fd, err) < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "cannot look at it");
	uint8_t *room = buf_reserve(&text, RULE_FILE_MAX + 1, err);
	if (room == NULL || fd_read_full(fd, room, RULE_FILE_MAX + 1, path, &text.len, err) < 0 ||
		rule_parse((const char *)text.data, text.len, &a->rule, err) < 0)
		return -1;
	a->mark = mark_of(&text, &st);
	return find_system(rules, a, err);
}

/* A file is a machine file; what else there is must lead to a system. */
static int read_entry(
	const struct rules *rules, const struct entry *entry, struct assignment *a, struct err *err)
{
	struct stat st;
	AUTO_FREE char *path = path_printf(err, "%s/%s", rules->dir, entry->name);
	if (path == NULL)
		return -1;
	if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
		return read_file(rules, path, a, err);
	a->rule.system = TAKE_PTR(path);
	return 0;
}

/* Of the system the specialisation, which is a system of its own. */
static int specialise(const char *real, struct assignment *a, struct err *err)
{
	struct err failure = ERR_INIT;
	char *toplevel = NULL;
	AUTO_FREE char *path =
		path_printf(err, "%s/specialisation/%s", a->toplevel, a->rule.specialisation);
	if (path == NULL)
		return -1;
	if (system_resolve_in(path, STORE_DIR, real, &toplevel, &failure) == 0) {
		free(a->toplevel);
		a->toplevel = toplevel;
		return 0;
	}
	if (failure.kind != ERR_NOT_FOUND) {
		*err = failure;
		return -1;
	}
	err_raise(err, ERR_NOT_FOUND, "the system '%s' has no specialisation '%s'", a->toplevel,
		a->rule.specialisation);
	return err_hint(err, "'snowboot show %s' lists those that it has", a->toplevel);
}

static int resolve(const struct rules *rules, struct assignment *a, struct err *err)
{
	const char *real = rules->real_store != NULL ? rules->real_store : STORE_DIR;
	if (a->elsewhere)
		return 0;
	if (system_resolve_in(a->rule.system, STORE_DIR, real, &a->toplevel, err) < 0)
		return -1;
	if (a->rule.specialisation == NULL || specialise(real, a, err) == 0)
		return 0;
	free(TAKE_PTR(a->toplevel));
	return -1;
}

static int add_candidate(struct assignment *a, const struct entry *entry, struct err *err)
{
	struct candidate c = {.kind = entry != NULL ? entry->kind : IDENTITIES};
	if (entry != NULL && (c.entry = strdup(entry->name)) == NULL)
		return err_oom(err);
	if (vec_push(&a->candidates, c, err) < 0) {
		free(c.entry);
		return -1;
	}
	return 0;
}

/* Sets how the last candidate stands; takes `why` over, which may be NULL: no memory. */
static int stands(struct assignment *a, enum standing standing, char *take_why, struct err *err)
{
	struct candidate *c = &a->candidates.items[a->candidates.len - 1];
	c->standing = standing;
	c->why = take_why;
	return take_why != NULL ? 0 : err_oom(err);
}

static char *why_matched(const struct entry *entry, const struct identity *who, struct err *err)
{
	if (entry->kind == IDENTITIES)
		return path_printf(err, "it is for every machine without an entry of its own");
	return path_printf(err, "the machine's %s is '%s'", identity_kind_name(entry->kind),
		who->text[entry->kind]);
}

static char *day(int64_t at, struct err *err)
{
	char text[64];
	struct tm tm;
	time_t when = (time_t)at;
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&when, &tm));
	return path_printf(err, "the machine came up with it on %s", text);
}

/* 1 when the once-only entry may be given to this machine; else its standing is set. */
static int may_give(const struct rules *rules, const struct entry *entry,
	const struct identity *who, struct assignment *a, struct err *err)
{
	char name[IDENTITY_NAME_SIZE], own[IDENTITY_NAME_SIZE] = "default";
	enum once_state state = ONCE_NEW;
	int64_t at = 0;
	if (!identity_first(who, name))
		return stands(a, STANDING_UNKNOWN,
			path_printf(err,
				"it is for once, and nothing is known of the machine that "
				"it could be remembered by"),
			err);
	if (entry->kind != IDENTITIES)
		identity_name(entry->kind, who->text[entry->kind], own);
	a->who = strdup(name);
	a->once_entry = strdup(own);
	if (a->who == NULL || a->once_entry == NULL)
		return err_oom(err);
	const struct once_key key = {.entry = a->once_entry, .who = a->who, .mark = a->mark};
	if (once_look(rules->state_dir, &key, &state, &at, err) < 0)
		return -1;
	return state == ONCE_USED ? stands(a, STANDING_USED_UP, day(at, err), err) : 1;
}

/* Forgets an entry that does not win after all. */
static void forget(struct assignment *a)
{
	rule_done(&a->rule);
	a->elsewhere = false;
	free(TAKE_PTR(a->who));
	free(TAKE_PTR(a->once_entry));
}

/* 1 when it wins. */
static int try_entry(const struct rules *rules, const struct entry *entry,
	const struct identity *who, struct assignment *a, struct err *err)
{
	if (add_candidate(a, entry, err) < 0)
		return -1;
	if (a->found)
		return stands(a, STANDING_BEATEN,
			path_printf(err, "'%s' comes before it", a->entry), err);
	int r = read_entry(rules, entry, a, &a->failure);
	if (r == 0 && a->rule.once)
		r = may_give(rules, entry, who, a, err);
	else if (r == 0)
		r = 1;
	if (r == 0) {
		forget(a);
		return 0;
	}
	if (r < 0 && err_clean(&a->failure))
		return -1; /* the record of one-shot assignments, or memory */
	a->found = true;
	a->entry = strdup(entry->name);
	if (a->entry == NULL || stands(a, STANDING_WINS, why_matched(entry, who, err), err) < 0)
		return err_clean(err) ? err_oom(err) : -1;
	return 1;
}

static int try_fallback(const struct rules *rules, struct assignment *a, struct err *err)
{
	if (rules->fallback == NULL)
		return 0;
	if (add_candidate(a, NULL, err) < 0)
		return -1;
	if (a->found)
		return stands(a, STANDING_BEATEN,
			path_printf(err, "'%s' comes before it", a->entry), err);
	int found = find_link(rules, rules->fallback, &a->rule.system, err);
	if (found < 0)
		return -1;
	a->found = true;
	a->elsewhere = found == 0;
	if (a->elsewhere)
		a->rule.system = strdup(rules->fallback);
	return stands(a, STANDING_WINS,
		a->rule.system == NULL ? NULL : path_printf(err, "it is the server's first SYSTEM"),
		err);
}

int assignment_decide(const struct rules *rules, const struct identity *who, struct assignment *ret,
	struct err *err)
{
	AUTO_ASSIGNMENT a = {.failure = ERR_INIT};
	if (rules->dir != NULL && directory_read(rules->dir, who, &a.directory, err) < 0)
		return -1;
	VEC_FOREACH(entry, &a.directory.matches)
		if (try_entry(rules, entry, who, &a, err) < 0)
			return -1;
	if (try_fallback(rules, &a, err) < 0)
		return -1;
	if (a.found && err_clean(&a.failure) && resolve(rules, &a, &a.failure) < 0 &&
		a.entry != NULL)
		err_prefix(&a.failure, "machine entry '%s/%s'", rules->dir, a.entry);
	*ret = a;
	a = (struct assignment){0};
	return 0;
}

struct walk {
	const struct rules *rules;
	assignment_entry_fn *each;
	void *data;
};

static int look_at(const struct entry *entry, void *data, struct err *err)
{
	const struct walk *w = data;
	AUTO_ASSIGNMENT a = {.failure = ERR_INIT};
	a.entry = strdup(entry->name);
	if (a.entry == NULL)
		return err_oom(err);
	bool read = read_entry(w->rules, entry, &a, &a.failure) == 0;
	if (read && resolve(w->rules, &a, &a.failure) < 0)
		err_prefix(&a.failure, "machine entry '%s/%s'", w->rules->dir, entry->name);
	return w->each(&a, w->data, err);
}

int assignment_each(
	const struct rules *rules, assignment_entry_fn *each, void *data, struct err *err)
{
	struct walk walk = {.rules = rules, .each = each, .data = data};
	return directory_each(rules->dir, look_at, &walk, err);
}

int assignment_fetched(struct assignment *a, const char *toplevel, struct err *err)
{
	if (!a->elsewhere || !err_clean(&a->failure))
		return 0;
	char *path = strdup(toplevel);
	if (path == NULL)
		return err_oom(err);
	free(a->toplevel);
	a->toplevel = path;
	return 0;
}

int assignment_give(const struct rules *rules, const struct assignment *a, struct err *err)
{
	if (!a->rule.once || !err_clean(&a->failure) || a->toplevel == NULL)
		return 0;
	const struct once_key key = {.entry = a->once_entry, .who = a->who, .mark = a->mark};
	return once_give(rules->state_dir, &key, path_basename(a->toplevel), time(NULL), err);
}
