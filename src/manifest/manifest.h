/* SPDX-License-Identifier: MIT */
#ifndef MANIFEST_MANIFEST_H
#define MANIFEST_MANIFEST_H

/*
 * The manifest: one small signed text per bootable system. It names the catalog, which names
 * everything else, so a node that trusts the key can take bytes from anyone. It is small because
 * every node asks the origin for it; what is large goes through the swarm as chunks.
 * docs/formats/manifest.md.
 */

#include "manifest/chunk.h"
#include "manifest/key.h"

#define MANIFEST_MAX ((size_t)64 << 10)           /* bytes of text */
#define MANIFEST_NAME_MAX 211                     /* bytes: as the name of a store path (Nix) */
#define MANIFEST_CATALOG_MAX ((uint64_t)64 << 20) /* bytes: CATALOG_MAX */

struct manifest {
	char *name;      /* what is asked for, e.g. "default" or the toplevel's file name */
	char *system;    /* toplevel store path */
	uint64_t serial; /* counts the issues under this name, from 1 */
	int64_t issued;  /* seconds since 1970 */
	int64_t expires; /* seconds since 1970; looked at when a machine boots, never later */
	char *cmdline;   /* the kernel's */
	struct blob catalog;
	VEC(struct signature) signatures;
};

#define AUTO_MANIFEST AUTO(manifest_done) struct manifest
void manifest_done(struct manifest *manifest);
/* 1 to MANIFEST_NAME_MAX letters, digits and +-._=?, not beginning with a dot: a file name. */
bool manifest_name_valid(const char *name);

/* Appends the text, signatures last. ERR_NOMEM, ERR_LIMIT. */
int manifest_encode(const struct manifest *manifest, struct buf *out, struct err *err);
/* Reads it; checks no signature. ERR_CORRUPT names the line, ERR_UNSUPPORTED an unknown version. */
int manifest_decode(const char *text, size_t len, struct manifest *ret, struct err *err);
/* Adds a signature over everything before the signatures. */
int manifest_sign(struct manifest *manifest, const struct secret_key *key, struct err *err);

/* What a node holds a manifest against. */
struct manifest_trust {
	const public_keys *keys;
	const char *name;    /* that was asked for */
	uint64_t min_serial; /* the newest seen; 0: none */
	int64_t now;         /* this machine's clock, seconds since 1970 */
	int64_t origin_now;  /* Date of the answer it came with; 0: unknown */
};

/*
 * Decides whether to boot it. ERR_UNTRUSTED: no valid signature by a trusted key (and says whether
 * there was none, an unknown key's, or a wrong one); another name; older than min_serial; expired.
 * A clock before `issued` is not believed (`issued` counts instead); one that makes it expired is
 * held against origin_now when that lies within [issued, expires]. docs/formats/manifest.md says
 * what this protects against and what not.
 */
int manifest_check(
	const struct manifest *manifest, const struct manifest_trust *trust, struct err *err);

#endif
