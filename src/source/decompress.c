/* SPDX-License-Identifier: MIT */
/*
 * Three libraries behind one function. libarchive pulls its input by a callback; its own failures
 * and those of the input are told apart by what the callback left behind. It could unpack zstd too,
 * but copies all bytes once more, and most caches of today have nothing else.
 */
#include "source/decompress.h"

#include <archive.h>
#include <brotli/decode.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

enum { PACKED_SIZE = 128 * 1024 };

struct decompressor {
	enum nar_compression compression;
	struct nar_input input;
	struct archive *archive;
	bool opened;
	ZSTD_DCtx *zstd;
	bool in_frame; /* zstd: the end of the input would be too early */
	BrotliDecoderState *brotli;
	const uint8_t *next; /* zstd and brotli: what was not unpacked yet */
	size_t left;
	bool input_ended;
	uint64_t received;  /* bytes of the input */
	struct err failure; /* of the input */
	uint8_t packed[PACKED_SIZE];
};

/* Fills `packed`; nothing at the end. */
static int refill(struct decompressor *d, size_t *ret_len, struct err *err)
{
	*ret_len = 0;
	if (d->input_ended)
		return 0;
	if (d->input.read(d->input.data, d->packed, PACKED_SIZE, ret_len, err) < 0)
		return -1;
	d->input_ended = *ret_len == 0;
	d->received += *ret_len;
	return 0;
}

/* Unless something was left of the last time. */
static int need_input(struct decompressor *d, struct err *err)
{
	if (d->left > 0)
		return 0;
	d->next = d->packed;
	return refill(d, &d->left, err);
}

static la_ssize_t on_read(struct archive *archive, void *user, const void **ret)
{
	struct decompressor *d = user;
	size_t len;
	if (!err_clean(&d->failure) || refill(d, &len, &d->failure) < 0) {
		archive_set_error(archive, -1, "the input failed");
		return -1;
	}
	*ret = d->packed;
	return (la_ssize_t)len;
}

static int damaged(struct decompressor *d, const char *why, struct err *err)
{
	if (!err_clean(&d->failure)) {
		*err = d->failure;
		return -1;
	}
	return err_raise(err, ERR_CORRUPT, "the %s stream is damaged: %s",
		nar_compression_name(d->compression),
		d->input_ended || why == NULL ? "it breaks off, or its end is wrong" : why);
}

static int goes_on(const struct decompressor *d, struct err *err)
{
	return err_raise(err, ERR_CORRUPT, "the %s stream is damaged: it goes on behind its end",
		nar_compression_name(d->compression));
}

static int filter_of(enum nar_compression compression, struct archive *archive)
{
	switch (compression) {
	case NAR_COMPRESSION_XZ:
		(void)archive_read_support_filter_xz(archive);
		return ARCHIVE_FILTER_XZ;
	case NAR_COMPRESSION_BZIP2:
		(void)archive_read_support_filter_bzip2(archive);
		return ARCHIVE_FILTER_BZIP2;
	case NAR_COMPRESSION_GZIP:
		(void)archive_read_support_filter_gzip(archive);
		return ARCHIVE_FILTER_GZIP;
	case NAR_COMPRESSION_NONE:
	case NAR_COMPRESSION_ZSTD:
	case NAR_COMPRESSION_BROTLI:
		break;
	}
	return ARCHIVE_FILTER_NONE;
}

/* At the first read, since it waits for bytes. */
static int open_archive(struct decompressor *d, struct err *err)
{
	struct archive_entry *entry;
	d->opened = true;
	(void)archive_read_support_format_raw(d->archive);
	int filter = filter_of(d->compression, d->archive);
	if (archive_read_open(d->archive, d, NULL, on_read, NULL) != ARCHIVE_OK)
		return damaged(d, archive_error_string(d->archive), err);
	/* Without its mark at the beginning libarchive would hand the bytes on as they are. */
	if (archive_filter_code(d->archive, 0) != filter)
		return damaged(d, "it does not begin as one", err);
	if (archive_read_next_header(d->archive, &entry) != ARCHIVE_OK)
		return damaged(d, archive_error_string(d->archive), err);
	return 0;
}

static int read_archive(
	struct decompressor *d, void *bytes, size_t max, size_t *ret_len, struct err *err)
{
	if (!d->opened && open_archive(d, err) < 0)
		return -1;
	la_ssize_t len = archive_read_data(d->archive, bytes, max);
	if (len < 0)
		return damaged(d, archive_error_string(d->archive), err);
	*ret_len = (size_t)len;
	if (len > 0)
		return 0;
	/* What stands behind the end mark of the stream is none of it. libarchive may have been
	 * given it, but does not take it. */
	size_t more = 0;
	if (refill(d, &more, err) < 0)
		return -1;
	uint64_t used = (uint64_t)archive_filter_bytes(d->archive, -1);
	return used == d->received ? 0 : goes_on(d, err);
}

/* Frames, one behind the other, as if they were one. */
static int read_zstd(
	struct decompressor *d, void *bytes, size_t max, size_t *ret_len, struct err *err)
{
	ZSTD_outBuffer out = {bytes, max, 0};
	while (out.pos < max) {
		size_t had = out.pos;
		bool first = d->received == 0;
		if (need_input(d, err) < 0)
			return -1;
		if (d->left == 0 && !d->in_frame)
			break;
		ZSTD_inBuffer in = {d->next, d->left, 0};
		size_t more = ZSTD_decompressStream(d->zstd, &out, &in);
		d->next += in.pos;
		d->left -= in.pos;
		if (first && ZSTD_getErrorCode(more) == ZSTD_error_prefix_unknown)
			return damaged(d, "it does not begin as one", err);
		if (ZSTD_isError(more))
			return damaged(d, ZSTD_getErrorName(more), err);
		d->in_frame = more != 0;
		if (d->in_frame && d->input_ended && out.pos == had)
			return damaged(d, NULL, err);
	}
	*ret_len = out.pos;
	return 0;
}

static int read_brotli(
	struct decompressor *d, void *bytes, size_t max, size_t *ret_len, struct err *err)
{
	uint8_t *out = bytes;
	size_t room = max;
	while (room == max) {
		if (need_input(d, err) < 0)
			return -1;
		if (BrotliDecoderIsFinished(d->brotli)) {
			if (d->left > 0)
				return goes_on(d, err);
			break;
		}
		BrotliDecoderResult r = BrotliDecoderDecompressStream(
			d->brotli, &d->left, &d->next, &room, &out, NULL);
		if (r == BROTLI_DECODER_RESULT_ERROR)
			return damaged(d,
				BrotliDecoderErrorString(BrotliDecoderGetErrorCode(d->brotli)),
				err);
		if (r == BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT && d->input_ended)
			return damaged(d, NULL, err);
	}
	*ret_len = max - room;
	return 0;
}

static int read_unpacked(void *data, void *bytes, size_t max, size_t *ret_len, struct err *err)
{
	struct decompressor *d = data;
	if (d->archive != NULL)
		return read_archive(d, bytes, max, ret_len, err);
	if (d->zstd != NULL)
		return read_zstd(d, bytes, max, ret_len, err);
	if (d->brotli != NULL)
		return read_brotli(d, bytes, max, ret_len, err);
	return d->input.read(d->input.data, bytes, max, ret_len, err);
}

int decompressor_new(enum nar_compression compression, const struct nar_input *input,
	struct decompressor **ret, struct err *err)
{
	struct decompressor *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return err_oom(err);
	d->compression = compression;
	d->input = *input;
	d->in_frame = true; /* nothing at all is no frame */
	bool ready = true;
	if (compression == NAR_COMPRESSION_ZSTD)
		ready = (d->zstd = ZSTD_createDCtx()) != NULL;
	else if (compression == NAR_COMPRESSION_BROTLI)
		ready = (d->brotli = BrotliDecoderCreateInstance(NULL, NULL, NULL)) != NULL;
	else if (compression != NAR_COMPRESSION_NONE)
		ready = (d->archive = archive_read_new()) != NULL;
	if (!ready) {
		free(d);
		return err_oom(err);
	}
	*ret = d;
	return 0;
}

struct decompressor *decompressor_free(struct decompressor *d)
{
	if (d == NULL)
		return NULL;
	if (d->archive != NULL)
		archive_read_free(d->archive);
	ZSTD_freeDCtx(d->zstd);
	if (d->brotli != NULL)
		BrotliDecoderDestroyInstance(d->brotli);
	free(d);
	return NULL;
}

struct nar_input decompressor_input(struct decompressor *d)
{
	return (struct nar_input){.read = read_unpacked, .data = d};
}
