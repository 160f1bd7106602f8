/* SPDX-License-Identifier: MIT */
#ifndef SOURCE_TEMPROOTS_H
#define SOURCE_TEMPROOTS_H

/*
 * Temporary roots: the file <state>/temproots/<pid> lists store paths, each ended by a NUL, that
 * Nix's garbage collector keeps for as long as the file is locked (Nix, src/libstore/gc.cc).
 */

#include "base/err.h"
#include "base/mem.h"

struct temproots {
	int fd;      /* locked while open; -1: no path yet */
	int lock_fd; /* of <state>/gc.lock */
	char *file;
};

void temproots_init(struct temproots *roots);
void temproots_done(struct temproots *roots);

/* Makes the file, with no path yet, unless that was done. Fails as temproots_add() does. */
int temproots_open(struct temproots *roots, const char *state_dir, struct err *err);

/*
 * Adds a path. Also tells a collector that runs at this moment, and returns when it knows.
 * ERR_IO without permission; ERR_AGAIN when the file belongs to another process.
 */
int temproots_add(
	struct temproots *roots, const char *state_dir, const char *path, struct err *err);

#endif
