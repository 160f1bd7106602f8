/* SPDX-License-Identifier: MIT */
#ifndef TFTP_READER_H
#define TFTP_READER_H

/* The bytes of a body by offset, copied out: blocks are small and lie across pieces. */

#include "http/body.h"

/* Keeps the file open that it read last: a client costs one descriptor, as with HTTP. */
struct tftp_reader {
	const struct http_body *body; /* borrowed */
	int file;
	const char *path; /* the piece's pointer; NULL: none is open */
};

#define TFTP_READER_INIT ((struct tftp_reader){.file = -1})

void tftp_reader_done(struct tftp_reader *reader);

/*
 * Reads exactly `len` bytes at `off`, which the body has. ERR_CORRUPT when a file is shorter than
 * its piece says; ERR_NOT_FOUND, ERR_IO when it cannot be read.
 */
int tftp_reader_read(
	struct tftp_reader *reader, uint64_t off, uint8_t *data, size_t len, struct err *err);

#endif
