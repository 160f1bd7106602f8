/* SPDX-License-Identifier: MIT */
/* Reads from the page cache, mostly: a disk is waited for as sendfile() would. */
#include "tftp/reader.h"

#include "base/fd.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

void tftp_reader_done(struct tftp_reader *reader)
{
	fd_close_ptr(&reader->file);
	reader->path = NULL;
}

static int open_file(struct tftp_reader *reader, const struct http_piece *piece, struct err *err)
{
	if (reader->path == piece->path)
		return 0;
	tftp_reader_done(reader);
	if (fd_open(AT_FDCWD, piece->path, O_RDONLY, &reader->file, err) < 0)
		return -1;
	posix_fadvise(
		reader->file, (off_t)piece->file_off, (off_t)piece->len, POSIX_FADV_SEQUENTIAL);
	reader->path = piece->path;
	return 0;
}

static int read_file(struct tftp_reader *reader, const struct http_piece *piece, uint8_t *data,
	size_t len, struct err *err)
{
	size_t got = 0;
	if (open_file(reader, piece, err) < 0 ||
		fd_pread_full(reader->file, data, len, piece->file_off, piece->path, &got, err) < 0)
		return -1;
	if (got < len)
		return err_raise(err, ERR_CORRUPT,
			"'%s' ends before offset %" PRIu64 ", where %zu bytes are expected",
			piece->path, piece->file_off, len);
	return 0;
}

int tftp_reader_read(
	struct tftp_reader *reader, uint64_t off, uint8_t *data, size_t len, struct err *err)
{
	while (len > 0) {
		struct http_piece piece;
		reader->body->ops->piece_at(reader->body, off, &piece);
		size_t n = piece.len < len ? (size_t)piece.len : len;
		switch (piece.kind) {
		case HTTP_PIECE_MEMORY:
			memcpy(data, piece.data, n);
			break;
		case HTTP_PIECE_ZERO:
			memset(data, 0, n);
			break;
		case HTTP_PIECE_FILE:
			if (read_file(reader, &piece, data, n, err) < 0)
				return -1;
			break;
		}
		off += n;
		data += n;
		len -= n;
	}
	return 0;
}
