/* SPDX-License-Identifier: MIT */
#ifndef POOL_WALK_H
#define POOL_WALK_H

/*
 * What is in a store path on the disk: names, types and sizes, before any file is read. Nodes are
 * numbered; 0 is the root, and the entries of a directory are neighbours, sorted by bytes.
 */

#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"
#include "tree/tree.h"

#include <stdbool.h>
#include <stdint.h>

struct node {
	uint64_t size; /* file: bytes */
	size_t name;   /* offset in names, NUL-terminated */
	size_t target; /* symlink: offset in names */
	uint32_t name_len, target_len;
	uint32_t parent;
	uint32_t first, count; /* directory: its entries */
	uint32_t resume;       /* directory: the next entry of a walk under way */
	uint8_t type;          /* enum tree_type */
	bool sparse;           /* file: has holes */
	uint32_t twin_class;   /* file: 0, or a number it shares with all files of its size */
	/* Filled in while packing. */
	uint32_t block, fragment, fragment_off;
};

struct walk {
	const char *path; /* of the root, borrowed */
	VEC(struct node) nodes;
	struct buf names;
	uint32_t twin_classes;
};

#define AUTO_WALK AUTO(walk_done) struct walk
void walk_done(struct walk *walk);

/*
 * Looks at everything below `path`, which must live as long as the walk. ERR_UNSUPPORTED for what
 * is neither directory, file nor symlink.
 */
int walk_scan(struct walk *walk, const char *path, struct err *err);

/*
 * Makes neighbours of the entries of each directory. Before, nodes are in the order of a NAR: what
 * a directory contains stands right behind it, and `parent` is set. Numbers change. ERR_NOMEM.
 */
int walk_regroup(struct walk *walk, struct err *err);

const char *walk_name(const struct walk *walk, const struct node *node);
/* The whole file name of a node, for messages; caller owns; NULL with ERR_NOMEM. */
char *walk_path(const struct walk *walk, const struct node *node, struct err *err);
/* Raises errno's failure: "cannot <verb> '<path>': …". */
int walk_sys(const struct walk *walk, const struct node *node, const char *verb, struct err *err);

/*
 * Goes through the directories depth first: enters the root at the beginning, and leaves it at the
 * end. One descriptor at a time, moved by name and by "..", so depth has no limit.
 */
struct stroll {
	struct walk *walk;
	uint32_t at; /* the directory we are in */
	int fd;      /* of it */
};

int stroll_begin(struct stroll *stroll, struct walk *walk, struct err *err);
/* Enters entry `node` of the current directory. */
int stroll_enter(struct stroll *stroll, uint32_t node, struct err *err);
/* Goes up to the parent. */
int stroll_leave(struct stroll *stroll, struct err *err);
/*
 * Opens a file of the current directory for reading; or, in a stroll of { .walk = walk, .fd =
 * AT_FDCWD }, the root.
 */
int stroll_open(const struct stroll *stroll, const struct node *node, int *ret_fd, struct err *err);
void stroll_done(struct stroll *stroll);
#define AUTO_STROLL AUTO(stroll_done) struct stroll

#endif
