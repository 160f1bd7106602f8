/* SPDX-License-Identifier: MIT */
#ifndef SYSTEM_TOPLEVEL_H
#define SYSTEM_TOPLEVEL_H

/* The files of a toplevel, as nixpkgs' top-level.nix, kernel.nix and bootable.nix write them. */

#include "base/err.h"
#include "system/bootspec.h"
#include "system/link.h"
#include "system/system.h"

/* What to read: `path` is the toplevel's store path. Both are borrowed. */
struct toplevel {
	const struct store_view *view;
	const char *path;
};

/* True when the toplevel has an entry of that name, be it a dangling link. */
bool toplevel_has(const struct toplevel *top, const char *name);
/* Follows an entry: 1 and *ret, which the caller owns, or 0 when there is no such entry. */
int toplevel_link(const struct toplevel *top, const char *name, char **ret, struct err *err);
/* The contents of a file without trailing newlines: 1 and *ret, or 0 when there is none. */
int toplevel_text(const struct toplevel *top, const char *name, char **ret, struct err *err);

/*
 * Tells the kind (reference: nixpkgs, nixos/modules/system/activation/top-level.nix). ERR_USAGE
 * when there is no init, ERR_UNSUPPORTED for an init that is neither a script nor ELF.
 */
int toplevel_kind(const struct toplevel *top, enum system_kind *ret, struct err *err);

/* The only directory below <modules>/lib/modules. ERR_UNSUPPORTED when there are more or none. */
int toplevel_release(const struct toplevel *top, const char *modules, char **ret, struct err *err);

/*
 * What boot.json would say, for systems of before it (RFC 0125, "synthesis"). ERR_NOT_FOUND for a
 * dangling link, ERR_USAGE for a file that must be there and is not.
 */
int toplevel_synthesize(const struct toplevel *top, struct bootspec *ret, struct err *err);

#endif
