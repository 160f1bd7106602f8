/* SPDX-License-Identifier: MIT */
/* A profile read back from the names of its links. */
#include "system/generations.h"

#include "base/fd.h"
#include "base/path.h"
#include "base/vec.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void generations_done(struct generations *generations)
{
	for (size_t i = 0; i < generations->len; i++) {
		free(generations->items[i].link);
		free(generations->items[i].path);
	}
	free(generations->items);
	free(generations->profile);
	*generations = (struct generations){0};
}

/* Takes "<base>-<number>-link" apart; false for any other name. */
static bool parse_name(const char *name, size_t *ret_base_len, uint64_t *ret_number)
{
	static const char suffix[] = "-link";
	size_t len = strlen(name), end = len - (sizeof(suffix) - 1), start = end;
	if (len < sizeof(suffix) || strcmp(name + end, suffix) != 0)
		return false;
	while (start > 0 && isdigit((unsigned char)name[start - 1]))
		start--;
	if (start == end || end - start > 18 || start < 2 || name[start - 1] != '-')
		return false;
	*ret_base_len = start - 1;
	*ret_number = strtoull(name + start, NULL, 10);
	return true;
}

/* The target of a symlink, caller owns: 1; 0 when `path` is no symlink. */
static int read_link(const char *path, char **ret, struct err *err)
{
	char target[PATH_MAX + 1];
	ssize_t len = readlink(path, target, PATH_MAX);
	if (len < 0)
		return errno == EINVAL || errno == ENOENT || errno == ENOTDIR
			? 0
			: err_sys(err, "cannot read symlink '%s'", path);
	*ret = strndup(target, (size_t)len);
	return *ret != NULL ? 1 : err_oom(err);
}

/* The profile that `name` belongs to, caller owns: 1; or 0. */
static int find_profile(const char *name, char **ret, struct err *err)
{
	AUTO_FREE char *target = NULL;
	const char *base = path_basename(name);
	size_t len;
	uint64_t number;
	int linked = read_link(name, &target, err);
	if (linked <= 0)
		return linked;
	if (parse_name(base, &len, &number))
		*ret = strndup(name, (size_t)(base - name) + len);
	else if (parse_name(path_basename(target), &len, &number) && len == strlen(base) &&
		strncmp(path_basename(target), base, len) == 0)
		*ret = strdup(name);
	else
		return 0;
	return *ret != NULL ? 1 : err_oom(err);
}

static int read_generation(
	const struct store_view *view, struct generation *g, const char *current, struct err *err)
{
	struct stat st;
	struct err gone = ERR_INIT;
	if (lstat(g->link, &st) < 0)
		return err_sys(err, "cannot look at '%s'", g->link);
	g->time = (int64_t)st.st_mtime;
	g->current = strcmp(path_basename(g->link), current) == 0;
	if (link_follow(view, g->link, &g->path, &gone) < 0 && gone.kind != ERR_NOT_FOUND) {
		*err = gone;
		return -1;
	}
	return 0;
}

struct lister {
	const struct store_view *view;
	struct generations list;
	size_t cap;
	char *folder;
	char *current; /* file name of the link that the profile points to; "" when it does not
			  exist */
};

static void lister_done(struct lister *l)
{
	generations_done(&l->list);
	free(l->folder);
	free(l->current);
}

static int add(struct lister *l, const char *name, uint64_t number, struct err *err)
{
	struct generations *list = &l->list;
	if (list->len == l->cap &&
		vec_grow((void **)&list->items, &l->cap, list->len, sizeof(*list->items), err) < 0)
		return -1;
	struct generation *g = &list->items[list->len++];
	*g = (struct generation){
		.number = number, .link = path_printf(err, "%s/%s", l->folder, name)};
	return g->link != NULL ? read_generation(l->view, g, l->current, err) : -1;
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = ((const struct generation *)a)->number;
	uint64_t y = ((const struct generation *)b)->number;
	return (x > y) - (x < y);
}

static int read_folder(struct lister *l, struct err *err)
{
	const char *base = path_basename(l->list.profile);
	AUTO_DIR *dir = fd_opendir(AT_FDCWD, l->folder);
	if (dir == NULL)
		return err_sys(err, "cannot open '%s'", l->folder);
	errno = 0;
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL; errno = 0) {
		size_t len;
		uint64_t number;
		if (!parse_name(entry->d_name, &len, &number) || len != strlen(base) ||
			strncmp(entry->d_name, base, len) != 0)
			continue;
		if (add(l, entry->d_name, number, err) < 0)
			return -1;
	}
	if (errno != 0)
		return err_sys(err, "cannot read directory '%s'", l->folder);
	if (l->list.len > 0)
		qsort(l->list.items, l->list.len, sizeof(*l->list.items), compare_numbers);
	return 0;
}

static int start(struct lister *l, struct err *err)
{
	AUTO_FREE char *target = NULL;
	const char *slash = strrchr(l->list.profile, '/');
	if (slash == NULL)
		l->folder = strdup(".");
	else
		l->folder = strndup(l->list.profile,
			slash == l->list.profile ? 1 : (size_t)(slash - l->list.profile));
	int linked = read_link(l->list.profile, &target, err);
	if (linked < 0)
		return -1;
	l->current = strdup(linked ? path_basename(target) : "");
	return l->folder != NULL && l->current != NULL ? 0 : err_oom(err);
}

int generations_list(
	const struct store_view *view, const char *name, struct generations *ret, struct err *err)
{
	AUTO(lister_done) struct lister l = {.view = view};
	int found = find_profile(name, &l.list.profile, err);
	if (found <= 0)
		return found;
	if (start(&l, err) < 0 || read_folder(&l, err) < 0)
		return -1;
	*ret = l.list;
	l.list = (struct generations){0};
	return 1;
}
