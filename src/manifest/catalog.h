/* SPDX-License-Identifier: MIT */
#ifndef MANIFEST_CATALOG_H
#define MANIFEST_CATALOG_H

/*
 * The catalog of a system: its store paths with tree and chunk table, what the composed image must
 * hash to, and the files that stage 1 needs. Binary, because it is sent anew with each generation.
 * docs/formats/catalog.md.
 */

#include "manifest/chunk.h"

#define CATALOG_MAX ((size_t)64 << 20) /* bytes */

struct catalog_member {
	char *name;         /* "<hash>-<name>" */
	struct blob tree;   /* names the segment and its size */
	struct blob chunks; /* its chunk table, encoded; none when the segment is empty */
	bool is_private;    /* its segment's chunks never leave by a peer */
};

/* Files: "plan", "db.sqlite", "schema", "registration", "kernel", "initramfs". */
struct catalog_file {
	char *name;
	struct blob blob;
};

struct catalog {
	VEC(struct catalog_member) members; /* sorted by name */
	VEC(struct catalog_file) files;     /* sorted by name */
	uint64_t image_size;                /* bytes */
	struct digest metadata; /* SHA-256 of what composing generates: the EXTENT_MEMORY and
				   EXTENT_ZERO bytes of the image, in their order */
};

#define AUTO_CATALOG AUTO(catalog_done) struct catalog
void catalog_done(struct catalog *catalog);
const struct catalog_file *catalog_file(const struct catalog *catalog, const char *name);

/* ERR_NOMEM; ERR_CORRUPT, ERR_UNSUPPORTED. */
int catalog_encode(const struct catalog *catalog, struct buf *out, struct err *err);
int catalog_decode(const void *data, size_t size, struct catalog *ret, struct err *err);

#endif
