/* SPDX-License-Identifier: MIT */
#ifndef SYSTEM_LINK_H
#define SYSTEM_LINK_H

/* Symlinks into a store and inside it, also when the store lies under another root. */

#include "base/err.h"

/* How much of a store path is needed on the disk. */
enum bring {
	BRING_NAMES, /* names and links of the store path that it lies in; files may be empty */
	BRING_FILE,  /* and what this file contains */
	BRING_ALL,   /* and all other files of that store path, and of all that links lead to */
};

/*
 * Brings store paths to the disk where there is no store. What is not known there is passed over:
 * whoever looks finds that it does not exist.
 */
struct store_supply {
	int (*bring)(void *data, const char *path, enum bring what, struct err *err);
	void *data;
};
/* With a NULL supply everything is there. */
int store_bring(
	const struct store_supply *supply, const char *path, enum bring what, struct err *err);

/* Where store paths are: named below `dir`, read below `real_dir`. All of it is borrowed. */
struct store_view {
	const char *dir;
	const char *real_dir;
	const struct store_supply *supply; /* NULL: they are there */
};

/*
 * Follows every symlink in `name`. The result, which the caller owns, is named below view->dir when
 * it lies in the store. ERR_NOT_FOUND when it or something on the way does not exist (both ends are
 * named), ERR_USAGE for a circle.
 */
int link_follow(const struct store_view *view, const char *name, char **ret, struct err *err);

/* Brings the file that `name` leads to, if there is one. */
int link_bring(const struct store_view *view, const char *name, struct err *err);

/* The file name under which `path` can be looked at; caller owns; NULL with ERR_NOMEM, or as the
 * supply fails. */
char *link_real(const struct store_view *view, const char *path, struct err *err);
/* The same for a file that is going to be read. */
char *link_file(const struct store_view *view, const char *path, struct err *err);

#endif
