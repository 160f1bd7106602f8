/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_INIT_H
#define STAGE1_INIT_H

/* What `init=` on the kernel command line asks for, and whether it can be had. */

#include "base/err.h"
#include "plan/plan.h"
#include "stage1/cmdline.h"

struct init {
	char *path;   /* as it stands on the command line */
	char *system; /* the toplevel it belongs to: the plan's, or one of its specialisations */
};

void init_done(struct init *init);

/*
 * Resolves init= inside `root`, the new root. Exactly one is needed (nixos-init refuses others), it
 * must exist and be executable, and belong to the plan's system or to one of its specialisations.
 * ERR_USAGE for a wrong command line, ERR_NOT_FOUND for a file that is not there.
 */
int init_find(const struct plan *plan, const struct cmdline *cmdline, const char *root,
	struct init *ret, struct err *err);

/*
 * Whether `path` inside `root` can be executed: there, executable, and its interpreter too if it is
 * a script. ERR_NOT_FOUND, ERR_IO.
 */
int init_check_program(const char *root, const char *path, struct err *err);

/* Follows `path` as if `root` were "/", to a path below it that the caller owns. */
int init_resolve(const char *root, const char *path, char **ret_path, struct err *err);

#endif
