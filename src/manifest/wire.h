/* SPDX-License-Identifier: MIT */
#ifndef MANIFEST_WIRE_H
#define MANIFEST_WIRE_H

/* Reading the binary formats of this layer: bytes that are there, or not. All is little-endian. */

#include "manifest/chunk.h"

#include "base/bytes.h"

struct wire {
	const uint8_t *at, *end;
};

/* The next `size` bytes, or NULL when there are fewer. */
static inline const uint8_t *wire_take(struct wire *wire, size_t size)
{
	if ((size_t)(wire->end - wire->at) < size)
		return NULL;
	const uint8_t *p = wire->at;
	wire->at += size;
	return p;
}

static inline bool wire_u32(struct wire *wire, uint32_t *ret)
{
	const uint8_t *p = wire_take(wire, 4);
	if (p != NULL)
		*ret = get_le32(p);
	return p != NULL;
}

static inline bool wire_u64(struct wire *wire, uint64_t *ret)
{
	const uint8_t *p = wire_take(wire, 8);
	if (p != NULL)
		*ret = get_le64(p);
	return p != NULL;
}

static inline bool wire_digest(struct wire *wire, struct digest *ret)
{
	const uint8_t *p = wire_take(wire, DIGEST_SIZE);
	if (p != NULL)
		memcpy(ret->bytes, p, DIGEST_SIZE);
	return p != NULL;
}

static inline int wire_put_u32(struct buf *out, uint32_t value, struct err *err)
{
	uint8_t bytes[4];
	put_le32(bytes, value);
	return buf_put(out, bytes, sizeof(bytes), err);
}

static inline int wire_put_u64(struct buf *out, uint64_t value, struct err *err)
{
	uint8_t bytes[8];
	put_le64(bytes, value);
	return buf_put(out, bytes, sizeof(bytes), err);
}

/* Pieces of a blob of that size. */
static inline uint64_t blob_piece_count(uint64_t size)
{
	return size / PIECE_SIZE + (size % PIECE_SIZE != 0);
}

/*
 * Size, digest, and the digests of the pieces when there are several; no blob is a size of 0 and
 * nothing more. 1 when it was read, 0 when it does not fit into what is there, -1 with ERR_NOMEM.
 */
int blob_put(struct buf *out, const struct blob *blob, struct err *err);
int blob_get(struct wire *wire, struct blob *ret, struct err *err);

#endif
