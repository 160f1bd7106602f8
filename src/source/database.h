/* SPDX-License-Identifier: MIT */
#ifndef SOURCE_DATABASE_H
#define SOURCE_DATABASE_H

/* The Nix database of a closure, so that Nix works in the booted system from the first command. */

#include "base/buf.h"
#include "nix/path_info.h"

/* The contents of /nix/var/nix/db/schema. */
#define DATABASE_SCHEMA "10"

/*
 * Appends a SQLite database (schema 10, as Nix 2.x creates it) in which exactly this closure is
 * registered: hashes, sizes, references, derivers, signatures. The same closure gives the same
 * bytes with the same SQLite.
 */
int database_build(const struct closure *closure, struct buf *out, struct err *err);

#endif
