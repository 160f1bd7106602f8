/* SPDX-License-Identifier: MIT */
#ifndef NIX_NAR_RESTORE_H
#define NIX_NAR_RESTORE_H

/* A NAR on the disk again, as `nix-store --restore` does it. */

#include "nix/nar_reader.h"

/*
 * Makes `path`, which must not be there, of what the NAR contains, with Nix's modes (0444 and
 * 0555; directories stay writable for their owner, or nobody could remove them), and reads the NAR
 * to its end. What was made before a failure is left. ERR_IO, or as nar_reader_next().
 */
int nar_restore(struct nar_reader *reader, const char *path, struct err *err);

#endif
