/* SPDX-License-Identifier: MIT */
#ifndef CARRIER_MODULES_H
#define CARRIER_MODULES_H

/*
 * The modules of one kernel, as depmod describes them below lib/modules/<release>/ (modules.dep and
 * its companions, kmod 30), and the choice of those that go into an initramfs.
 */

#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"

#include <stdbool.h>
#include <stdint.h>

struct module {
	char *path;   /* as modules.dep has it: "kernel/fs/squashfs/squashfs.ko.xz" */
	char *name;   /* "squashfs"; '-' is written '_' */
	char *stem;   /* its place in the kernel source, without suffix: "fs/squashfs/squashfs" */
	size_t *deps; /* indexes, in the order of modules.dep: the last one is loaded first */
	size_t dep_count;
	bool chosen;
};

struct modules {
	char *dir;                /* "/nix/store/…/lib/modules/<release>" */
	char *release;            /* "6.1.0-56-amd64" */
	VEC(struct module) items; /* sorted by name */
	struct strvec builtin;    /* names, sorted */
	struct buf alias, softdep, weakdep, devname, builtin_list, order; /* depmod's files */
};

#define AUTO_MODULES AUTO(modules_done) struct modules

void modules_done(struct modules *modules);

/*
 * Reads the tables of the kernel `release` in the store path `kernel_modules`, below `root`
 * (in_root.h). ERR_NOT_FOUND when there are none, ERR_CORRUPT when a module depends on one that
 * modules.dep does not have (both are named).
 */
int modules_read(int root, const char *kernel_modules, const char *release, struct modules *ret,
	struct err *err);

/* The module of that name ('-' and '_' are the same), or NULL. */
struct module *modules_find(const struct modules *modules, const char *name);
bool modules_is_builtin(const struct modules *modules, const char *name);

/*
 * Chooses modules by a list of sets and names separated by commas: "minimal", "netboot", "all",
 * "r8169,netboot". What a RAM root needs (set minimal) is always in. Then closes the choice under
 * dependencies and soft dependencies. ERR_NOT_FOUND names a module that the kernel has neither as a
 * module nor built in, also one without which no image can be mounted (squashfs, overlay, loop).
 */
int modules_choose(struct modules *modules, const char *list, struct err *err);

size_t modules_chosen_count(const struct modules *modules);

/* A file of lib/modules/<release>/ in the initramfs. */
struct modules_table {
	const char *name; /* "modules.dep" */
	struct buf text;
};
#define MODULES_TABLES 7

/*
 * depmod's text files cut down to the chosen modules, whose paths lose the suffix of a compression.
 * modules.builtin stays whole, so that modprobe knows what needs no loading.
 */
int modules_tables(
	const struct modules *modules, struct modules_table ret[MODULES_TABLES], struct err *err);
void modules_tables_done(struct modules_table tables[MODULES_TABLES]);

/* Bytes of `path` without ".xz", ".zst" or ".gz". */
size_t modules_plain_len(const char *path);

#endif
