/* SPDX-License-Identifier: MIT */
/*
 * One-shot decompression with a bound on the result. Kernel modules and firmware are small enough
 * to be held whole; what matters is that a damaged or hostile file neither crashes nor fills
 * memory. Each format's own checksum is verified by its library.
 */
#include "carrier/inflate.h"

#include <lzma.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define PIECE ((size_t)256 * 1024)
/* xz -9 asks for 65 MiB; a header that asks for more than this is not a kernel module's. */
#define XZ_MEMORY_MAX ((uint64_t)256 << 20)
/* zstd --ultra -22: a window of 128 MiB. */
#define ZSTD_WINDOW_LOG_MAX 27

/* Room for the next piece, but not beyond the bound: one byte more is how "too large" is noticed.
 */
static uint8_t *next_piece(
	struct buf *out, size_t start, size_t max_bytes, size_t *ret_size, struct err *err)
{
	size_t left = max_bytes - (out->len - start);
	*ret_size = left < PIECE ? left + 1 : PIECE;
	return buf_reserve(out, *ret_size, err);
}

static int check_bound(const struct buf *out, size_t start, size_t max_bytes, struct err *err)
{
	if (out->len - start > max_bytes)
		return err_raise(
			err, ERR_LIMIT, "decompressed contents exceed %zu bytes", max_bytes);
	return 0;
}

static void end_xz(lzma_stream *stream)
{
	lzma_end(stream);
}

static int inflate_xz(
	const uint8_t *data, size_t size, size_t max_bytes, struct buf *out, struct err *err)
{
	AUTO(end_xz) lzma_stream stream = LZMA_STREAM_INIT;
	if (lzma_stream_decoder(&stream, XZ_MEMORY_MAX, LZMA_CONCATENATED) != LZMA_OK)
		return err_oom(err);
	stream.next_in = data;
	stream.avail_in = size;
	size_t start = out->len;
	for (;;) {
		size_t piece;
		stream.next_out = next_piece(out, start, max_bytes, &piece, err);
		if (stream.next_out == NULL)
			return -1;
		stream.avail_out = piece;
		lzma_ret r = lzma_code(&stream, LZMA_FINISH);
		out->len += piece - stream.avail_out;
		if (check_bound(out, start, max_bytes, err) < 0)
			return -1;
		if (r == LZMA_STREAM_END)
			return 0;
		if (r == LZMA_MEM_ERROR)
			return err_oom(err);
		if (r == LZMA_MEMLIMIT_ERROR)
			return err_raise(err, ERR_LIMIT, "xz data ask for too much memory");
		if (r != LZMA_OK)
			return err_raise(err, ERR_CORRUPT, "damaged xz data");
	}
}

static void end_gzip(z_stream *stream)
{
	(void)inflateEnd(stream);
}

static int inflate_gzip(
	const uint8_t *data, size_t size, size_t max_bytes, struct buf *out, struct err *err)
{
	AUTO(end_gzip) z_stream stream = {0};
	if (size > UINT32_MAX)
		return err_raise(err, ERR_LIMIT, "%zu bytes of gzip data", size);
	if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK)
		return err_oom(err);
	stream.next_in = (Bytef *)(uintptr_t)data;
	stream.avail_in = (uInt)size;
	size_t start = out->len;
	for (;;) {
		size_t piece;
		stream.next_out = next_piece(out, start, max_bytes, &piece, err);
		if (stream.next_out == NULL)
			return -1;
		stream.avail_out = (uInt)piece;
		int r = inflate(&stream, Z_NO_FLUSH);
		out->len += piece - stream.avail_out;
		if (check_bound(out, start, max_bytes, err) < 0)
			return -1;
		if (r == Z_STREAM_END && stream.avail_in == 0)
			return 0;
		if (r == Z_MEM_ERROR)
			return err_oom(err);
		if (r != Z_OK)
			return err_raise(err, ERR_CORRUPT, "damaged gzip data");
	}
}

static void free_zstd(ZSTD_DCtx **ctx)
{
	(void)ZSTD_freeDCtx(*ctx);
}

static int inflate_zstd(
	const uint8_t *data, size_t size, size_t max_bytes, struct buf *out, struct err *err)
{
	AUTO(free_zstd) ZSTD_DCtx *ctx = ZSTD_createDCtx();
	if (ctx == NULL ||
		ZSTD_isError(ZSTD_DCtx_setParameter(ctx, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX)))
		return err_oom(err);
	ZSTD_inBuffer in = {.src = data, .size = size};
	size_t start = out->len, r = 1;
	while (in.pos < in.size || r != 0) {
		size_t piece;
		uint8_t *at = next_piece(out, start, max_bytes, &piece, err);
		if (at == NULL)
			return -1;
		ZSTD_outBuffer piece_out = {.dst = at, .size = piece};
		size_t before = in.pos;
		r = ZSTD_decompressStream(ctx, &piece_out, &in);
		if (ZSTD_isError(r))
			return err_raise(err, ERR_CORRUPT, "damaged zstd data");
		out->len += piece_out.pos;
		if (check_bound(out, start, max_bytes, err) < 0)
			return -1;
		if (r != 0 && in.pos == before && piece_out.pos == 0)
			return err_raise(err, ERR_CORRUPT, "damaged zstd data");
	}
	return 0;
}

static bool starts(const uint8_t *data, size_t size, const char *magic, size_t magic_len)
{
	return size >= magic_len && memcmp(data, magic, magic_len) == 0;
}

int inflate_bytes(
	const uint8_t *data, size_t size, size_t max_bytes, struct buf *out, struct err *err)
{
	if (starts(data, size, "\x1f\x8b", 2))
		return inflate_gzip(data, size, max_bytes, out, err);
	if (starts(data, size,
		    "\xfd"
		    "7zXZ\0",
		    6))
		return inflate_xz(data, size, max_bytes, out, err);
	if (starts(data, size, "\x28\xb5\x2f\xfd", 4))
		return inflate_zstd(data, size, max_bytes, out, err);
	if (size > max_bytes)
		return err_raise(err, ERR_LIMIT, "%zu bytes are more than the limit of %zu", size,
			max_bytes);
	return buf_put(out, data, size, err);
}
