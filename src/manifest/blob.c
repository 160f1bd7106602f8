/* SPDX-License-Identifier: MIT */
/*
 * Blobs: objects that are fetched whole, in pieces of one size that are verified one by one. The
 * digest of the whole is the object's name; nobody has to compute it again once all pieces fit.
 */
#include "manifest/wire.h"

#include "base/fd.h"

void blob_done(struct blob *blob)
{
	vec_done(&blob->pieces);
	*blob = (struct blob){0};
}

/* Adds bytes that end a piece. */
static int put_piece(struct blob *blob, struct sha256_ctx *whole, const uint8_t *data, size_t size,
	struct err *err)
{
	struct digest digest = digest_of(data, size);
	sha256_update(whole, size, data);
	blob->size += size;
	return vec_push(&blob->pieces, digest, err);
}

static void finish(struct blob *blob, struct sha256_ctx *whole)
{
	if (blob->size > 0)
		blob->digest = digest_finish(whole);
}

int blob_of(const void *data, uint64_t size, struct blob *ret, struct err *err)
{
	AUTO(blob_done) struct blob blob = {0};
	struct sha256_ctx whole;
	sha256_init(&whole);
	while (blob.size < size) {
		uint64_t left = size - blob.size;
		size_t len = left < PIECE_SIZE ? (size_t)left : PIECE_SIZE;
		if (put_piece(&blob, &whole, (const uint8_t *)data + blob.size, len, err) < 0)
			return -1;
	}
	finish(&blob, &whole);
	*ret = blob;
	blob = (struct blob){0};
	return 0;
}

int blob_of_fd(int fd, struct blob *ret, struct err *err)
{
	AUTO(blob_done) struct blob blob = {0};
	struct sha256_ctx whole;
	sha256_init(&whole);
	AUTO_FREE uint8_t *piece = malloc(PIECE_SIZE);
	if (piece == NULL)
		return err_oom(err);
	size_t len;
	do {
		if (fd_pread_full(fd, piece, PIECE_SIZE, blob.size, "object", &len, err) < 0)
			return -1;
		if (len > 0 && put_piece(&blob, &whole, piece, len, err) < 0)
			return -1;
	} while (len == PIECE_SIZE);
	finish(&blob, &whole);
	*ret = blob;
	blob = (struct blob){0};
	return 0;
}

struct chunk blob_chunk(const struct blob *blob, size_t i)
{
	uint64_t off = (uint64_t)i * PIECE_SIZE, left = blob->size - off;
	return (struct chunk){.digest = blob->pieces.items[i],
		.object = blob->digest,
		.off = off,
		.len = left < PIECE_SIZE ? (uint32_t)left : PIECE_SIZE};
}

int blob_put(struct buf *out, const struct blob *blob, struct err *err)
{
	if (blob->pieces.len != blob_piece_count(blob->size))
		return err_raise(err, ERR_BUG, "blob of %ju bytes has %zu pieces",
			(uintmax_t)blob->size, blob->pieces.len);
	if (wire_put_u64(out, blob->size, err) < 0)
		return -1;
	if (blob->size == 0)
		return 0;
	if (buf_put(out, blob->digest.bytes, DIGEST_SIZE, err) < 0)
		return -1;
	for (size_t i = 0; i < blob->pieces.len && blob->pieces.len > 1; i++)
		if (buf_put(out, blob->pieces.items[i].bytes, DIGEST_SIZE, err) < 0)
			return -1;
	return 0;
}

int blob_get(struct wire *wire, struct blob *ret, struct err *err)
{
	AUTO(blob_done) struct blob blob = {0};
	if (!wire_u64(wire, &blob.size))
		return 0;
	if (blob.size > 0 && !wire_digest(wire, &blob.digest))
		return 0;
	uint64_t count = blob_piece_count(blob.size);
	if (count > 1 && count > (uint64_t)(wire->end - wire->at) / DIGEST_SIZE)
		return 0;
	for (uint64_t i = 0; i < count; i++) {
		struct digest piece = blob.digest;
		if (count > 1 && !wire_digest(wire, &piece))
			return 0;
		if (vec_push(&blob.pieces, piece, err) < 0)
			return -1;
	}
	*ret = blob;
	blob = (struct blob){0};
	return 1;
}
