/* SPDX-License-Identifier: MIT */
#ifndef MANIFEST_CHUNK_H
#define MANIFEST_CHUNK_H

/*
 * Chunks: the unit of verification and transfer. docs/formats/chunks.md.
 *
 * A segment is cut along its compressed blocks, because a block is what the kernel reads: a chunk
 * is one block, or several small ones in a row. squashfs reads whole blocks rounded outwards to 1
 * KiB (Linux fs/squashfs/block.c, devblksize), and segments begin on 4 KiB in an image, so a chunk
 * is rounded outwards in the same way, within its object. Neighbours overlap by that margin. So
 * reading one block needs one chunk, never also the neighbours.
 *
 * Every other object (tree, chunk table, catalog, database, kernel, initramfs) is a blob: cut into
 * pieces of 128 KiB, whose digests stand with its name.
 */

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/vec.h"

#include <stdint.h>

#define CHUNK_ALIGN 1024u        /* bytes: to which a chunk's ends are rounded outwards */
#define CHUNK_MERGE (32u * 1024) /* blocks in a row are one chunk up to this many bytes */
#define PIECE_SIZE (128u * 1024) /* of a blob; the last one is shorter */
#define CHUNK_MAX (PIECE_SIZE + 2 * CHUNK_ALIGN) /* no chunk and no piece is larger, bytes */

/* A chunk and where a plain web server has it: bytes [off, off + len) of an object. */
struct chunk {
	struct digest digest; /* of these bytes */
	struct digest object;
	uint64_t off;
	uint32_t len;    /* 1 … CHUNK_MAX */
	bool is_private; /* never asked of a peer, and never given to one */
	bool is_hearsay; /* all but its digest is what a peer said, who may have lied */
};

/* An object with the digests of its pieces. A blob of one piece has its own digest as the only one.
 */
struct blob {
	struct digest digest;
	uint64_t size; /* bytes; 0: there is none */
	VEC(struct digest) pieces;
};

void blob_done(struct blob *blob);
/* Describes bytes. ERR_NOMEM. */
int blob_of(const void *data, uint64_t size, struct blob *ret, struct err *err);
/* Describes what can be read from fd, from its beginning. ERR_IO. */
int blob_of_fd(int fd, struct blob *ret, struct err *err);
/* The i-th piece as a chunk; i is below blob->pieces.len. */
struct chunk blob_chunk(const struct blob *blob, size_t i);

/* The chunks of one segment. */
struct chunk_table {
	struct digest object; /* the segment */
	uint64_t size;        /* of it, bytes */
	VEC(struct digest) digests;
	VEC(uint64_t)
	starts; /* where the blocks of a chunk begin, before rounding; ascending from 0 */
};

void chunk_table_done(struct chunk_table *table);
/* The i-th chunk, rounded. */
struct chunk chunk_table_at(const struct chunk_table *table, size_t i);
/*
 * The chunk to have for bytes from `off` on: of those that hold the byte at `off`, the one that
 * reaches farthest. So a reader that goes on behind the end of each needs the fewest.
 */
size_t chunk_table_find(const struct chunk_table *table, uint64_t off);

/* Canonical, bounded, versioned bytes. ERR_NOMEM; ERR_CORRUPT. */
int chunk_table_encode(const struct chunk_table *table, struct buf *out, struct err *err);
int chunk_table_decode(const void *data, size_t size, struct chunk_table *ret, struct err *err);

#endif
