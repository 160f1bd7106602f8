/* SPDX-License-Identifier: MIT */
/*
 * What the initramfs says about its modules. Texts are kept as they were read and cut into strings
 * in place. Loading is in modules_load.c.
 */
#include "stage1/modules.h"

#include "base/fd.h"
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define TEXT_MAX ((size_t)32 << 20) /* modules.alias of a whole distribution kernel is 1.4 MB */

void modules_done(struct modules *modules)
{
	free(modules->release);
	free(modules->folder);
	for (size_t i = 0; i < modules->texts.len; i++)
		free(modules->texts.items[i]);
	vec_done(&modules->texts);
	vec_done(&modules->modules);
	vec_done(&modules->lines);
	alias_index_done(&modules->aliases);
	*modules = (struct modules){0};
}

/* Reads a file into modules->texts. *ret_text is NULL when there is no such file. */
static int read_text(struct modules *modules, const char *folder, const char *name, char **ret_text,
	struct err *err)
{
	AUTO_FREE char *path = path_printf(err, "%s/%s", folder, name);
	if (path == NULL)
		return -1;
	AUTO_BUF text = {0};
	struct err local = ERR_INIT;
	*ret_text = NULL;
	if (fd_read_file(AT_FDCWD, path, TEXT_MAX, &text, &local) < 0) {
		if (local.kind == ERR_NOT_FOUND)
			return 0;
		*err = local;
		return -1;
	}
	AUTO_FREE char *str = buf_take_str(&text, err);
	if (str == NULL || vec_push(&modules->texts, str, err) < 0)
		return -1;
	*ret_text = TAKE_PTR(str);
	return 0;
}

/* "kernel/fs/btrfs/btrfs.ko.xz" → "btrfs", with '_' for '-', written over the text. */
static const char *name_in_place(char *path)
{
	char *name = strrchr(path, '/');
	name = name != NULL ? name + 1 : path;
	char *end = strstr(name, ".ko");
	if (end != NULL)
		*end = '\0';
	alias_normalize(name);
	return name;
}

static int add_module(struct modules *modules, const char *path, const char *deps, struct err *err)
{
	char *copy = strdup(path);
	if (copy == NULL)
		return err_oom(err);
	if (vec_push(&modules->texts, copy, err) < 0) {
		free(copy);
		return -1;
	}
	const struct module module = {
		.name = name_in_place(copy), .path = deps != NULL ? path : NULL, .deps = deps};
	return vec_push(&modules->modules, module, err);
}

/* Lines "path/to/a.ko: path/to/b.ko …", or just paths for what is built in. */
static int read_paths(struct modules *modules, const char *file, struct err *err)
{
	char *text, *line;
	if (read_text(modules, modules->folder, file, &text, err) < 0)
		return -1;
	while (text != NULL && (line = strsep(&text, "\n")) != NULL) {
		if (line[0] == '\0')
			continue;
		char *colon = strchr(line, ':');
		if (colon != NULL)
			*colon++ = '\0';
		if (add_module(modules, line, colon, err) < 0)
			return -1;
	}
	return 0;
}

static char *next_word(char **line)
{
	char *word;
	do
		word = strsep(line, " \t");
	while (word != NULL && word[0] == '\0');
	return word;
}

/* A line of modules.softdep, modules.alias or modprobe.d. Commands we do not know are skipped. */
static int read_config_line(struct modules *modules, char *line, bool aliases, struct err *err)
{
	char *command = next_word(&line), *name = next_word(&line);
	if (command == NULL || command[0] == '#' || name == NULL)
		return 0;
	if (strcmp(command, "alias") == 0) {
		char *module = aliases ? next_word(&line) : NULL;
		if (module == NULL)
			return 0;
		alias_normalize(module);
		return alias_index_add(&modules->aliases, name, module, err);
	}
	bool known = strcmp(command, "softdep") == 0 || strcmp(command, "options") == 0 ||
		strcmp(command, "blacklist") == 0;
	if (!known || aliases)
		return 0;
	alias_normalize(name);
	const struct module_line item = {command[0], name, line != NULL ? line : ""};
	return vec_push(&modules->lines, item, err);
}

static int read_config(struct modules *modules, const char *folder, const char *file, bool aliases,
	struct err *err)
{
	char *text, *line;
	if (read_text(modules, folder, file, &text, err) < 0)
		return -1;
	while (text != NULL && (line = strsep(&text, "\n")) != NULL)
		if (read_config_line(modules, line, aliases, err) < 0)
			return -1;
	return 0;
}

/* All files *.conf of /etc/modprobe.d. The order among files does not matter to us: lines add up.
 */
static int read_modprobe_d(struct modules *modules, bool aliases, struct err *err)
{
	/* "<root>/lib/modules/<release>" → "<root>/etc/modprobe.d" */
	size_t root = strlen(modules->folder) - strlen(modules->release) - strlen("/lib/modules/");
	AUTO_FREE char *folder =
		path_printf(err, "%.*s/etc/modprobe.d", (int)root, modules->folder);
	if (folder == NULL)
		return -1;
	DIR *dir = opendir(folder);
	if (dir == NULL)
		return 0;
	int r = 0;
	const struct dirent *entry;
	while (r == 0 && (entry = readdir(dir)) != NULL) {
		const char *dot = strrchr(entry->d_name, '.');
		if (dot != NULL && strcmp(dot, ".conf") == 0)
			r = read_config(modules, folder, entry->d_name, aliases, err);
	}
	closedir(dir);
	return r;
}

static int compare(const void *left, const void *right)
{
	const struct module *a = left, *b = right;
	return strcmp(a->name, b->name);
}

int modules_read(const char *root, const char *release, const struct cmdline *cmdline,
	struct modules *ret, struct err *err)
{
	AUTO(modules_done) struct modules modules = {.cmdline = cmdline};
	modules.release = path_printf(err, "%s", release);
	if (modules.release == NULL)
		return -1;
	modules.folder = path_printf(err, "%s/lib/modules/%s", root, release);
	if (modules.folder == NULL)
		return -1;
	if (read_paths(&modules, "modules.dep", err) < 0 ||
		read_paths(&modules, "modules.builtin", err) < 0 ||
		read_config(&modules, modules.folder, "modules.softdep", false, err) < 0 ||
		read_modprobe_d(&modules, false, err) < 0)
		return -1;
	if (modules.modules.len > 1)
		qsort(modules.modules.items, modules.modules.len, sizeof(struct module), compare);
	*ret = modules;
	modules = (struct modules){0};
	return 0;
}

int modules_read_aliases(struct modules *modules, struct err *err)
{
	if (modules->has_aliases)
		return 0;
	modules->has_aliases = true;
	if (read_config(modules, modules->folder, "modules.alias", true, err) < 0)
		return -1;
	return read_modprobe_d(modules, true, err);
}

struct module *modules_find(struct modules *modules, const char *name)
{
	AUTO_FREE char *copy = strdup(name);
	if (copy == NULL || modules->modules.len == 0)
		return NULL;
	alias_normalize(copy);
	const struct module key = {.name = copy};
	return bsearch(&key, modules->modules.items, modules->modules.len, sizeof(key), compare);
}

/* modprobe.blacklist=a,b of the command line, or "blacklist a" of modprobe.d. */
bool modules_blacklisted(const struct modules *modules, const char *name)
{
	for (size_t i = 0; i < modules->lines.len; i++) {
		const struct module_line *line = &modules->lines.items[i];
		if (line->kind == 'b' && strcmp(line->name, name) == 0)
			return true;
	}
	for (size_t i = 0; modules->cmdline != NULL && i < modules->cmdline->words.len; i++) {
		const char *value =
			cmdline_value(modules->cmdline->words.items[i], "modprobe.blacklist");
		AUTO_FREE char *copy = value != NULL ? strdup(value) : NULL;
		char *rest = copy, *item;
		while (rest != NULL && (item = strsep(&rest, ",")) != NULL) {
			alias_normalize(item);
			if (strcmp(item, name) == 0)
				return true;
		}
	}
	return false;
}

static int put_param(struct buf *out, const char *param, struct err *err)
{
	if (out->len > 0 && buf_put_str(out, " ", err) < 0)
		return -1;
	return buf_put_str(out, param, err);
}

/* "usb-storage.quirks=…" → "quirks=…" when the word is for that module. */
static const char *param_of(const char *word, const char *name)
{
	for (; *name != '\0'; name++, word++)
		if (*word != *name && !(*word == '-' && *name == '_'))
			return NULL;
	return *word == '.' ? word + 1 : NULL;
}

char *modules_params(const struct modules *modules, const char *name, struct err *err)
{
	AUTO_BUF out = {0};
	for (size_t i = 0; i < modules->lines.len; i++) {
		const struct module_line *line = &modules->lines.items[i];
		if (line->kind == 'o' && strcmp(line->name, name) == 0 &&
			put_param(&out, line->rest, err) < 0)
			return NULL;
	}
	for (size_t i = 0; modules->cmdline != NULL && i < modules->cmdline->words.len; i++) {
		const char *param = param_of(modules->cmdline->words.items[i], name);
		if (param != NULL && put_param(&out, param, err) < 0)
			return NULL;
	}
	return buf_take_str(&out, err);
}
