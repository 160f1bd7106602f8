/* SPDX-License-Identifier: MIT */
#ifndef SERVE_BUILD_H
#define SERVE_BUILD_H

/* A program (nix-build, nix-store) that runs beside the event loop and writes a log. */

#include "base/err.h"

struct event_base;
struct build;

/* Called once, from the loop; `failure` is clean when it exited 0. */
typedef void build_done_fn(const struct err *failure, void *data);

/*
 * Starts argv[0], looked for in PATH, with its output in a new file at `log`. ERR_NOT_FOUND without
 * such a program.
 */
int build_start(struct event_base *base, const char *const argv[], const char *log,
	build_done_fn *done, void *data, struct build **ret, struct err *err);

/* Ends it with its children if it runs; `done` is not called then. NULL is fine; returns NULL. */
struct build *build_free(struct build *build);

#endif
