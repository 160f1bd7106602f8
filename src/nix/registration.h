/* SPDX-License-Identifier: MIT */
#ifndef NIX_REGISTRATION_H
#define NIX_REGISTRATION_H

/*
 * The text that `nix-store --dump-db` writes and `--load-db` reads (Nix, src/libstore/store-api.cc,
 * decodeValidPathInfo): per path the lines path, NAR hash in base 16, NAR size, deriver or an empty
 * line, number of references, and each reference. It carries no signatures.
 */

#include "base/buf.h"
#include "nix/path_info.h"

/* Appends the whole closure in its order. ERR_NOMEM. */
int registration_encode(const struct closure *closure, struct buf *out, struct err *err);

#endif
