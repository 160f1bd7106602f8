/* SPDX-License-Identifier: MIT */
/*
 * Loading modules: soft dependencies before, dependencies, the module itself, soft dependencies
 * after. A module is tried once; whoever loads it first (another process, the kernel itself through
 * /sbin/modprobe) makes the others' EEXIST a success.
 */
#include "stage1/modules.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "stage1/sysfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Linux include/uapi/linux/module.h, from 5.17 on. */
#define MODULE_INIT_COMPRESSED_FILE_FLAG 4

/* finit_module() says little by itself: the kernel log has the rest. */
static int diagnose_load(const char *name, int errnum, struct err *err)
{
	const char *cause;
	switch (errnum) {
	case ENOENT:
		cause = "it needs a symbol that no loaded module has";
		break;
	case ENOEXEC:
		cause = "it was built for another kernel";
		break;
	case EKEYREJECTED:
	case ENOKEY:
		cause = "the kernel does not trust its signature";
		break;
	case EPERM:
		cause = "the kernel does not allow modules to be loaded";
		break;
	default:
		return err_errno(err, errnum, "cannot load module '%s'", name);
	}
	return err_raise(err, ERR_UNSUPPORTED, "cannot load module '%s': %s", name, cause);
}

static int insert(struct modules *modules, const struct module *module, struct err *err)
{
	AUTO_FREE char *path = path_printf(err, "%s/%s", modules->folder, module->path);
	AUTO_FREE char *params = path != NULL ? modules_params(modules, module->name, err) : NULL;
	if (params == NULL)
		return -1;
	AUTO_FD int fd = -1;
	if (fd_open(AT_FDCWD, path, O_RDONLY, &fd, err) < 0)
		return err_prefix(err, "cannot load module '%s'", module->name);
	const char *suffix = strrchr(module->path, '.');
	bool packed = suffix != NULL && strcmp(suffix, ".ko") != 0;
	long r = syscall(
		SYS_finit_module, fd, params, packed ? MODULE_INIT_COMPRESSED_FILE_FLAG : 0);
	/* ENODEV: a driver that looks for its hardware by itself and did not find it. */
	if (r < 0 && errno != EEXIST && errno != ENODEV)
		return diagnose_load(module->name, errno, err);
	return 0;
}

static int load(struct modules *modules, struct module *module, struct err *err);

/* The paths of modules.dep, last first: each depends only on those behind it. */
static int load_deps(struct modules *modules, const struct module *module, struct err *err)
{
	const char *end = module->deps + strlen(module->deps);
	while (end > module->deps) {
		const char *begin = end;
		while (begin > module->deps && begin[-1] != ' ')
			begin--;
		AUTO_FREE char *path = strndup(begin, (size_t)(end - begin));
		end = begin > module->deps ? begin - 1 : begin;
		if (path == NULL)
			return err_oom(err);
		char *name = strrchr(path, '/');
		name = name != NULL ? name + 1 : path;
		char *suffix = strstr(name, ".ko");
		if (suffix == NULL)
			continue;
		*suffix = '\0';
		struct module *dep = modules_find(modules, name);
		if (dep == NULL)
			return err_raise(err, ERR_NOT_FOUND,
				"module '%s' needs '%s', which is not in the initramfs",
				module->name, name);
		if (load(modules, dep, err) < 0)
			return err_prefix(err, "module '%s' needs '%s'", module->name, name);
	}
	return 0;
}

/* "pre: a b post: c". Soft: what is not there or fails does not matter. */
static void load_soft(struct modules *modules, const struct module *module, const char *when)
{
	for (size_t i = 0; i < modules->lines.len; i++) {
		const struct module_line *line = &modules->lines.items[i];
		if (line->kind != 's' || strcmp(line->name, module->name) != 0)
			continue;
		AUTO_FREE char *copy = strdup(line->rest);
		char *rest = copy, *word;
		const char *section = "";
		while (rest != NULL && (word = strsep(&rest, " \t")) != NULL) {
			if (strcmp(word, "pre:") == 0 || strcmp(word, "post:") == 0) {
				section = word;
				continue;
			}
			struct module *soft = modules_find(modules, word);
			struct err err = ERR_INIT;
			if (soft != NULL && strcmp(section, when) == 0 &&
				load(modules, soft, &err) < 0)
				log_ignored(&err);
		}
	}
}

static int load(struct modules *modules, struct module *module, struct err *err)
{
	/* TRYING: a circle of soft dependencies. */
	if (module->path == NULL || module->state != MODULE_UNTRIED)
		return 0;
	module->state = MODULE_TRYING;
	load_soft(modules, module, "pre:");
	if (load_deps(modules, module, err) < 0 || insert(modules, module, err) < 0) {
		module->state = MODULE_UNTRIED;
		return -1;
	}
	module->state = MODULE_TRIED;
	load_soft(modules, module, "post:");
	return 0;
}

int modules_load(struct modules *modules, const char *name, struct err *err)
{
	struct module *module = modules_find(modules, name);
	if (module != NULL)
		return load(modules, module, err);
	AUTO_FREE char *loaded = path_printf(err, "/sys/module/%s", name);
	if (loaded == NULL)
		return -1;
	if (sysfile_exists(loaded))
		return 0;
	err_raise(err, ERR_NOT_FOUND,
		"module '%s' is neither in the initramfs nor built into kernel %s", name,
		modules->release);
	return err_hint(err, "build the initramfs for this kernel, with --modules %s", name);
}

int modules_load_alias(struct modules *modules, const char *alias, struct err *err)
{
	AUTO_STRVEC names = {0};
	if (modules_read_aliases(modules, err) < 0 ||
		alias_index_match(&modules->aliases, alias, &names, err) < 0)
		return -1;
	int found = 0;
	for (size_t i = 0; i < names.len; i++) {
		struct module *module = modules_find(modules, names.items[i]);
		if (module == NULL || modules_blacklisted(modules, module->name))
			continue;
		found = 1;
		struct err local = ERR_INIT;
		if (load(modules, module, &local) < 0)
			log_ignored(&local);
	}
	return found;
}
