/* SPDX-License-Identifier: MIT */
/*
 * depmod's text files for the chosen modules alone, in the form that modprobe (kmod and busybox)
 * and our stage 1 read: the lines of the system's own tables, with those of other modules left out.
 */
#include "carrier/modules.h"

#include "base/path.h"

#include <string.h>

static bool is_chosen(const struct modules *modules, const char *name)
{
	const struct module *module = modules_find(modules, name);
	return module != NULL && module->chosen;
}

static int put_path(struct buf *out, const char *path, struct err *err)
{
	return buf_put(out, path, modules_plain_len(path), err);
}

/* "PATH: DEPENDENCY…", the dependencies in depmod's order. */
static int write_dep(const struct modules *modules, struct buf *out, struct err *err)
{
	VEC_FOREACH(module, &modules->items) {
		if (!module->chosen)
			continue;
		if (put_path(out, module->path, err) < 0 || buf_put_str(out, ":", err) < 0)
			return -1;
		for (size_t i = 0; i < module->dep_count; i++) {
			const struct module *dep = &modules->items.items[module->deps[i]];
			if (buf_put_str(out, " ", err) < 0 || put_path(out, dep->path, err) < 0)
				return -1;
		}
		if (buf_put_str(out, "\n", err) < 0)
			return -1;
	}
	return 0;
}

/* Which word of a line names its module. */
enum name_word { NAME_FIRST, NAME_SECOND, NAME_LAST };

static char *name_in(const char *line, size_t len, enum name_word which)
{
	const char *end = line + len, *start = line;
	if (which == NAME_LAST) {
		const char *space = memrchr(line, ' ', len);
		start = space != NULL ? space + 1 : line;
		return strndup(start, (size_t)(end - start));
	}
	if (which == NAME_SECOND) {
		const char *space = memchr(line, ' ', len);
		start = space != NULL ? space + 1 : end;
	}
	const char *stop = memchr(start, ' ', (size_t)(end - start));
	return strndup(start, (size_t)((stop != NULL ? stop : end) - start));
}

/* Steps to the next line; false at the end. *off starts as 0. */
static bool next_line(const struct buf *table, size_t *off, const char **ret, size_t *ret_len)
{
	if (*off >= table->len)
		return false;
	const char *line = (const char *)table->data + *off;
	size_t left = table->len - *off;
	const char *newline = memchr(line, '\n', left);
	*ret = line;
	*ret_len = newline != NULL ? (size_t)(newline - line) : left;
	*off += *ret_len + 1;
	return true;
}

static int put_line(struct buf *out, const char *line, size_t len, struct err *err)
{
	if (buf_put(out, line, len, err) < 0)
		return -1;
	return buf_put_str(out, "\n", err);
}

static int filter(const struct modules *modules, const struct buf *table, enum name_word which,
	struct buf *out, struct err *err)
{
	const char *line;
	size_t len;
	for (size_t off = 0; next_line(table, &off, &line, &len);) {
		AUTO_FREE char *name = name_in(line, len, which);
		if (name == NULL)
			return err_oom(err);
		if (line[0] != '#' && is_chosen(modules, name) && put_line(out, line, len, err) < 0)
			return -1;
	}
	return 0;
}

/* modules.order has plain paths ("kernel/…/x.ko"), whatever the modules are compressed with. */
static int write_order(const struct modules *modules, struct buf *out, struct err *err)
{
	const char *line;
	size_t len;
	for (size_t off = 0; next_line(&modules->order, &off, &line, &len);) {
		AUTO_FREE char *path = strndup(line, len);
		if (path == NULL)
			return err_oom(err);
		char *suffix = strstr(path, ".ko");
		if (suffix != NULL)
			*suffix = '\0';
		if (is_chosen(modules, path_basename(path)) && put_line(out, line, len, err) < 0)
			return -1;
	}
	return 0;
}

int modules_tables(
	const struct modules *modules, struct modules_table ret[MODULES_TABLES], struct err *err)
{
	static const char *const names[MODULES_TABLES] = {"modules.dep", "modules.alias",
		"modules.softdep", "modules.weakdep", "modules.devname", "modules.builtin",
		"modules.order"};
	struct modules_table tables[MODULES_TABLES] = {0};
	for (size_t i = 0; i < MODULES_TABLES; i++)
		tables[i].name = names[i];
	if (write_dep(modules, &tables[0].text, err) < 0 ||
		filter(modules, &modules->alias, NAME_LAST, &tables[1].text, err) < 0 ||
		filter(modules, &modules->softdep, NAME_SECOND, &tables[2].text, err) < 0 ||
		filter(modules, &modules->weakdep, NAME_SECOND, &tables[3].text, err) < 0 ||
		filter(modules, &modules->devname, NAME_FIRST, &tables[4].text, err) < 0 ||
		buf_put(&tables[5].text, modules->builtin_list.data, modules->builtin_list.len,
			err) < 0 ||
		write_order(modules, &tables[6].text, err) < 0) {
		modules_tables_done(tables);
		return -1;
	}
	memcpy(ret, tables, sizeof(tables));
	return 0;
}

void modules_tables_done(struct modules_table tables[MODULES_TABLES])
{
	for (size_t i = 0; i < MODULES_TABLES; i++)
		buf_done(&tables[i].text);
}
