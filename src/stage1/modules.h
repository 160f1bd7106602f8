/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_MODULES_H
#define STAGE1_MODULES_H

/*
 * The kernel modules of the initramfs: modules.dep, modules.alias, modules.softdep, modules.builtin
 * and modprobe.d (kmod: modules.dep(5), modprobe.d(5)), and loading them in order.
 */

#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"
#include "stage1/alias.h"
#include "stage1/cmdline.h"

#include <stdbool.h>

enum module_state { MODULE_UNTRIED, MODULE_TRYING, MODULE_TRIED };

struct module {
	const char *name; /* with '_' for '-' */
	const char *path; /* below the modules' folder; NULL: built into the kernel */
	const char *deps; /* paths with blanks between, to be loaded from the last to the first */
	enum module_state state;
};

/* A line "softdep NAME …", "options NAME …" or "blacklist NAME". */
struct module_line {
	char kind; /* 's', 'o', 'b' */
	const char *name;
	const char *rest;
};

struct modules {
	char *release;              /* uname -r */
	char *folder;               /* "/lib/modules/<release>" */
	VEC(char *) texts;          /* what names and paths point into */
	VEC(struct module) modules; /* by name */
	VEC(struct module_line) lines;
	struct alias_index aliases;
	bool has_aliases;              /* aliases are read when first needed */
	const struct cmdline *cmdline; /* MODULE.PARAM=VALUE and modprobe.blacklist=; may be NULL */
};

void modules_done(struct modules *modules);
/*
 * Reads what lies below `root`/lib/modules/<release> and `root`/etc/modprobe.d. Missing files are
 * as good as empty ones. ERR_NOMEM, ERR_LIMIT.
 */
int modules_read(const char *root, const char *release, const struct cmdline *cmdline,
	struct modules *ret, struct err *err);

/* The module of that name, '-' and '_' being the same; NULL when the initramfs has none. */
struct module *modules_find(struct modules *modules, const char *name);

/*
 * Loads one module, those it depends on before it. Built in or loaded already is success. Fails
 * with ERR_NOT_FOUND when it is neither in the initramfs nor in the kernel, ERR_UNSUPPORTED when
 * the kernel refuses it. A module whose hardware is not there (ENODEV) counts as loaded.
 */
int modules_load(struct modules *modules, const char *name, struct err *err);

/*
 * Loads what `alias` (a MODALIAS) stands for, blacklisted modules left out. A module that fails is
 * logged. Returns 1 when a module was found for it, 0 when none was, -1 with ERR_NOMEM.
 */
int modules_load_alias(struct modules *modules, const char *alias, struct err *err);

/*
 * The parameters for `name` from modprobe.d and the kernel command line ("quirks=1 debug"), which
 * the caller owns; NULL with ERR_NOMEM.
 */
char *modules_params(const struct modules *modules, const char *name, struct err *err);

/* Internal to modules*.c: reads modules.alias and the aliases of modprobe.d, once. */
int modules_read_aliases(struct modules *modules, struct err *err);
bool modules_blacklisted(const struct modules *modules, const char *name);

#endif
