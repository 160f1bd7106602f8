/* SPDX-License-Identifier: MIT */
#ifndef UNIT_NIX_NAR_ECHO_H
#define UNIT_NIX_NAR_ECHO_H

/* Reads a NAR out of memory, in pieces of a given size, and writes it again. */

#include "base/buf.h"
#include "nix/nar.h"
#include "nix/nar_reader.h"

#include <string.h>

struct echo_input {
	const uint8_t *data;
	size_t len, at, piece;
};

static inline int echo_read(void *data, void *bytes, size_t max, size_t *ret_len, struct err *err)
{
	(void)err;
	struct echo_input *in = data;
	size_t len = in->len - in->at;
	len = len > in->piece ? in->piece : len;
	len = len > max ? max : len;
	if (len > 0)
		memcpy(bytes, in->data + in->at, len);
	in->at += len;
	*ret_len = len;
	return 0;
}

static inline int echo_keep(void *data, const void *bytes, size_t len, struct err *err)
{
	return buf_put(data, bytes, len, err);
}

static inline int echo_file(struct nar_reader *reader, const struct nar_sink *sink,
	const struct nar_event *event, struct err *err)
{
	uint8_t piece[1000];
	if (nar_file(sink, event->size, event->executable, err) < 0)
		return -1;
	for (uint64_t left = event->size; left > 0;) {
		size_t len = left < sizeof(piece) ? (size_t)left : sizeof(piece);
		if (nar_reader_contents(reader, piece, len, err) < 0 ||
			sink->write(sink->data, piece, len, err) < 0)
			return -1;
		left -= len;
	}
	return nar_file_end(sink, event->size, err);
}

/* Appends to `out` what was read. */
static inline int echo(const void *data, size_t len, uint64_t limit, size_t piece, struct buf *out,
	struct err *err)
{
	struct echo_input in = {.data = data, .len = len, .piece = piece};
	const struct nar_input input = {.read = echo_read, .data = &in};
	const struct nar_sink sink = {echo_keep, out};
	AUTO_NAR_READER *reader = NULL;
	struct nar_event event;
	unsigned depth = 0;
	int more;
	if (nar_reader_new(&input, limit, &reader, err) < 0 || nar_begin(&sink, err) < 0)
		return -1;
	while ((more = nar_reader_next(reader, &event, err)) == 1) {
		int r = 0;
		bool ends = event.type == NAR_DIRECTORY_END;
		if (!ends && depth > 0)
			r = nar_entry(&sink, event.name, event.name_len, err);
		if (r == 0 && event.type == NAR_FILE)
			r = echo_file(reader, &sink, &event, err);
		else if (r == 0 && event.type == NAR_SYMLINK)
			r = nar_symlink(&sink, event.target, event.target_len, err);
		else if (r == 0 && event.type == NAR_DIRECTORY)
			r = nar_directory(&sink, err);
		else if (r == 0)
			r = nar_directory_end(&sink, err);
		depth += event.type == NAR_DIRECTORY ? 1 : 0;
		depth -= ends ? 1 : 0;
		if (r == 0 && event.type != NAR_DIRECTORY && depth > 0)
			r = nar_entry_end(&sink, err);
		if (r < 0)
			return -1;
	}
	if (more < 0)
		return -1;
	uint64_t size;
	struct digest hash = nar_reader_hash(reader, &size), want = digest_of(data, len);
	if (size != len || !digest_equal(&hash, &want))
		return err_raise(err, ERR_BUG, "the reader hashed something else");
	return 0;
}

#endif
