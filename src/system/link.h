/* SPDX-License-Identifier: MIT */
#ifndef SYSTEM_LINK_H
#define SYSTEM_LINK_H

/* Symlinks into a store and inside it, also when the store lies under another root. */

#include "base/err.h"

/* Where store paths are: named below `dir`, read below `real_dir`. Both are borrowed. */
struct store_view {
	const char *dir;
	const char *real_dir;
};

/*
 * Follows every symlink in `name`. The result, which the caller owns, is named below view->dir when
 * it lies in the store. ERR_NOT_FOUND when it or something on the way does not exist (both ends are
 * named), ERR_USAGE for a circle.
 */
int link_follow(const struct store_view *view, const char *name, char **ret, struct err *err);

/* The file name under which `path` can be read; caller owns; NULL with ERR_NOMEM. */
char *link_real(const struct store_view *view, const char *path, struct err *err);

#endif
