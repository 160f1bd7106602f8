/* SPDX-License-Identifier: MIT */
/*
 * Reads depmod's text tables. They come with the system, so they are taken at their word only as
 * far as they are consistent: every dependency must be a module of the same table. What to choose
 * is decided in module_choice.c, what is written in module_tables.c.
 */
#include "carrier/modules.h"

#include "base/path.h"
#include "carrier/in_root.h"

#include <stdlib.h>
#include <string.h>

/* modules.alias of a distribution kernel is 1–2 MB, everything else is smaller. */
#define TABLE_MAX ((size_t)64 << 20)

static void module_done(struct module *module)
{
	free(module->path);
	free(module->name);
	free(module->stem);
	free(module->deps);
}

void modules_done(struct modules *modules)
{
	VEC_FOREACH(module, &modules->items)
		module_done(module);
	vec_done(&modules->items);
	strvec_done(&modules->builtin);
	free(TAKE_PTR(modules->dir));
	free(TAKE_PTR(modules->release));
	struct buf *bufs[] = {&modules->alias, &modules->softdep, &modules->weakdep,
		&modules->devname, &modules->builtin_list, &modules->order};
	for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
		buf_done(bufs[i]);
}

size_t modules_plain_len(const char *path)
{
	static const char *const suffixes[] = {".xz", ".zst", ".gz"};
	size_t len = strlen(path);
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		size_t suffix = strlen(suffixes[i]);
		if (len > suffix && strcmp(path + len - suffix, suffixes[i]) == 0)
			return len - suffix;
	}
	return len;
}

/* '-' and '_' are the same in names of modules (kmod, libkmod-util.c, modname_normalize). */
static int compare_names(const char *a, const char *b)
{
	for (;; a++, b++) {
		unsigned char x = *a == '-' ? '_' : (unsigned char)*a;
		unsigned char y = *b == '-' ? '_' : (unsigned char)*b;
		if (x != y)
			return x < y ? -1 : 1;
		if (x == '\0')
			return 0;
	}
}

/* "kernel/fs/nls/nls-x.ko.xz" → "fs/nls/nls-x"; NULL with ERR_NOMEM. */
static char *stem_of(const char *path, struct err *err)
{
	if (strncmp(path, "kernel/", 7) == 0)
		path += 7;
	size_t len = modules_plain_len(path);
	if (len > 3 && strncmp(path + len - 3, ".ko", 3) == 0)
		len -= 3;
	char *stem = strndup(path, len);
	if (stem == NULL && err_clean(err))
		err_oom(err);
	return stem;
}

/* "kernel/fs/nls/nls-x.ko.xz" → "nls_x"; NULL with ERR_NOMEM. */
static char *name_of(const char *path, struct err *err)
{
	char *name = stem_of(path_basename(path), err);
	if (name == NULL)
		return NULL;
	for (char *c = name; *c != '\0'; c++)
		if (*c == '-')
			*c = '_';
	return name;
}

static int compare_modules(const void *a, const void *b)
{
	const struct module *x = a, *y = b;
	int r = strcmp(x->name, y->name);
	return r != 0 ? r : strcmp(x->path, y->path);
}

struct module *modules_find(const struct modules *modules, const char *name)
{
	size_t low = 0, high = modules->items.len;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int r = compare_names(name, modules->items.items[middle].name);
		if (r == 0)
			return &modules->items.items[middle];
		if (r < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static int compare_strings(const void *a, const void *b)
{
	return compare_names(*(char *const *)a, *(char *const *)b);
}

bool modules_is_builtin(const struct modules *modules, const char *name)
{
	const struct strvec *names = &modules->builtin;
	return names->len > 0 &&
		bsearch(&name, names->items, names->len, sizeof(*names->items), compare_strings) !=
		NULL;
}

/* Cuts the next line off; NULL at the end. The buffer is NUL-terminated. */
static char *next_line(char **text)
{
	char *line = *text;
	if (line == NULL || *line == '\0')
		return NULL;
	char *end = strchr(line, '\n');
	*text = end != NULL ? end + 1 : NULL;
	if (end != NULL)
		*end = '\0';
	return line;
}

/* First pass over modules.dep: every module by its path. The lines stay in `dep` for the second. */
static int read_paths(struct modules *modules, char *dep, struct err *err)
{
	for (char *line; (line = next_line(&dep)) != NULL;) {
		char *colon = strchr(line, ':');
		if (colon == NULL || line[0] == '/' || strstr(line, "..") != NULL)
			return err_raise(err, ERR_CORRUPT, "modules.dep has the line '%s'", line);
		struct module module = {.path = strndup(line, (size_t)(colon - line))};
		if (module.path != NULL) {
			module.name = name_of(module.path, err);
			module.stem = stem_of(module.path, err);
		}
		if (module.name == NULL || module.stem == NULL ||
			vec_push(&modules->items, module, err) < 0) {
			module_done(&module);
			return err_clean(err) ? err_oom(err) : -1;
		}
	}
	if (modules->items.len > 0)
		qsort(modules->items.items, modules->items.len, sizeof(*modules->items.items),
			compare_modules);
	return 0;
}

static int read_dependencies(
	const struct modules *modules, struct module *module, char *list, struct err *err)
{
	VEC(size_t) deps = {0};
	for (char *save = NULL, *word = strtok_r(list, " ", &save); word != NULL;
		word = strtok_r(NULL, " ", &save)) {
		AUTO_FREE char *name = name_of(word, err);
		const struct module *dep = name != NULL ? modules_find(modules, name) : NULL;
		if (name != NULL && dep == NULL)
			err_raise(err, ERR_CORRUPT,
				"module '%s' depends on '%s', which modules.dep does not have",
				module->name, word);
		if (dep == NULL || vec_push(&deps, (size_t)(dep - modules->items.items), err) < 0) {
			vec_done(&deps);
			return -1;
		}
	}
	module->deps = deps.items;
	module->dep_count = deps.len;
	return 0;
}

static int read_dep(struct modules *modules, int root, struct err *err)
{
	AUTO_FREE char *path = path_printf(err, "%s/modules.dep", modules->dir);
	AUTO_BUF text = {0};
	if (path == NULL || in_root_read(root, path, TABLE_MAX, &text, err) < 0)
		return -1;
	AUTO_FREE char *first = buf_str(&text, err) != NULL ? strdup((char *)text.data) : NULL;
	if (first == NULL)
		return err_clean(err) ? err_oom(err) : -1;
	if (read_paths(modules, first, err) < 0)
		return -1;
	char *rest = (char *)text.data;
	for (char *line; (line = next_line(&rest)) != NULL;) {
		char *colon = strchr(line, ':');
		*colon = '\0';
		AUTO_FREE char *name = name_of(line, err);
		if (name == NULL)
			return -1;
		/* Two modules of one name: both find the first, whose dependencies are kept. */
		struct module *module = modules_find(modules, name);
		if (module->deps == NULL && read_dependencies(modules, module, colon + 1, err) < 0)
			return -1;
	}
	return 0;
}

static int read_builtin(struct modules *modules, struct err *err)
{
	AUTO_FREE char *copy = strdup((char *)modules->builtin_list.data);
	if (copy == NULL)
		return err_oom(err);
	char *rest = copy;
	for (char *line; (line = next_line(&rest)) != NULL;)
		if (strvec_push_take(&modules->builtin, name_of(line, err), err) < 0)
			return -1;
	if (modules->builtin.len > 0)
		qsort(modules->builtin.items, modules->builtin.len, sizeof(char *),
			compare_strings);
	return 0;
}

static int read_tables(struct modules *modules, int root, struct err *err)
{
	const struct {
		const char *name;
		struct buf *out;
	} tables[] = {
		{"modules.alias", &modules->alias},
		{"modules.softdep", &modules->softdep},
		{"modules.weakdep", &modules->weakdep},
		{"modules.devname", &modules->devname},
		{"modules.builtin", &modules->builtin_list},
		{"modules.order", &modules->order},
	};
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		AUTO_FREE char *path = path_printf(err, "%s/%s", modules->dir, tables[i].name);
		if (path == NULL || in_root_try_read(root, path, TABLE_MAX, tables[i].out, err) < 0)
			return -1;
		if (buf_str(tables[i].out, err) == NULL)
			return -1;
	}
	return read_builtin(modules, err);
}

int modules_read(int root, const char *kernel_modules, const char *release, struct modules *ret,
	struct err *err)
{
	ERR_SCOPE(err, "modules of kernel '%s'", release);
	AUTO_MODULES modules = {0};
	modules.release = strdup(release);
	if (modules.release == NULL)
		return err_oom(err);
	modules.dir = path_printf(err, "%s/lib/modules/%s", kernel_modules, release);
	if (modules.dir == NULL || read_dep(&modules, root, err) < 0 ||
		read_tables(&modules, root, err) < 0)
		return -1;
	*ret = modules;
	modules = (struct modules){0};
	return 0;
}
