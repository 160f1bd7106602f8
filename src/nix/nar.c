/* SPDX-License-Identifier: MIT */
/*
 * The NAR writer. Every string of the format is its length as a little-endian u64, its bytes, and
 * zeros up to a multiple of 8; the format's own words never change, so whole phrases stand here as
 * constants and each costs one call of the sink. What is read, and when, is the caller's business.
 */
#include "nix/nar.h"

#include "base/bytes.h"

#include <string.h>

/* Words with their lengths and padding, to be concatenated. */
#define WORD(len, padded) len "\0\0\0\0\0\0\0" padded
#define MAGIC WORD("\15", "nix-archive-1\0\0\0")
#define OPEN WORD("\1", "(\0\0\0\0\0\0\0")
#define CLOSE WORD("\1", ")\0\0\0\0\0\0\0")
#define TYPE WORD("\4", "type\0\0\0\0")
#define REGULAR WORD("\7", "regular\0")
#define EXECUTABLE WORD("\12", "executable\0\0\0\0\0\0") WORD("\0", "")
#define CONTENTS WORD("\10", "contents")
#define SYMLINK WORD("\7", "symlink\0")
#define TARGET WORD("\6", "target\0\0")
#define DIRECTORY WORD("\11", "directory\0\0\0\0\0\0\0")
#define ENTRY WORD("\5", "entry\0\0\0")
#define NAME WORD("\4", "name\0\0\0\0")
#define NODE WORD("\4", "node\0\0\0\0")

static int put(const struct nar_sink *sink, const void *bytes, size_t len, struct err *err)
{
	return sink->write(sink->data, bytes, len, err);
}

/* Writes a phrase, which is a string literal and ends where its last word does. */
#define PUT_PHRASE(sink, phrase, err) put((sink), (phrase), sizeof(phrase) - 1, (err))

static int put_padding(const struct nar_sink *sink, uint64_t size, struct err *err)
{
	static const uint8_t zeros[8];
	size_t rest = (size_t)(size % 8);
	return rest == 0 ? 0 : put(sink, zeros, 8 - rest, err);
}

static int put_size(const struct nar_sink *sink, uint64_t size, struct err *err)
{
	uint8_t bytes[8];
	put_le64(bytes, size);
	return put(sink, bytes, sizeof(bytes), err);
}

static int put_string(const struct nar_sink *sink, const char *str, size_t len, struct err *err)
{
	if (put_size(sink, len, err) < 0 || put(sink, str, len, err) < 0)
		return -1;
	return put_padding(sink, len, err);
}

int nar_begin(const struct nar_sink *sink, struct err *err)
{
	return PUT_PHRASE(sink, MAGIC, err);
}

int nar_file(const struct nar_sink *sink, uint64_t size, bool executable, struct err *err)
{
	int r = executable ? PUT_PHRASE(sink, OPEN TYPE REGULAR EXECUTABLE CONTENTS, err)
			   : PUT_PHRASE(sink, OPEN TYPE REGULAR CONTENTS, err);
	return r < 0 ? -1 : put_size(sink, size, err);
}

int nar_file_end(const struct nar_sink *sink, uint64_t size, struct err *err)
{
	if (put_padding(sink, size, err) < 0)
		return -1;
	return PUT_PHRASE(sink, CLOSE, err);
}

int nar_symlink(const struct nar_sink *sink, const char *target, size_t len, struct err *err)
{
	if (PUT_PHRASE(sink, OPEN TYPE SYMLINK TARGET, err) < 0 ||
		put_string(sink, target, len, err) < 0)
		return -1;
	return PUT_PHRASE(sink, CLOSE, err);
}

int nar_directory(const struct nar_sink *sink, struct err *err)
{
	return PUT_PHRASE(sink, OPEN TYPE DIRECTORY, err);
}

int nar_entry(const struct nar_sink *sink, const char *name, size_t len, struct err *err)
{
	if (PUT_PHRASE(sink, ENTRY OPEN NAME, err) < 0 || put_string(sink, name, len, err) < 0)
		return -1;
	return PUT_PHRASE(sink, NODE, err);
}

int nar_entry_end(const struct nar_sink *sink, struct err *err)
{
	return PUT_PHRASE(sink, CLOSE, err);
}

int nar_directory_end(const struct nar_sink *sink, struct err *err)
{
	return PUT_PHRASE(sink, CLOSE, err);
}

void nar_hasher_init(struct nar_hasher *hasher)
{
	sha256_init(&hasher->ctx);
	hasher->size = 0;
}

static int hasher_write(void *data, const void *bytes, size_t len, struct err *err)
{
	(void)err;
	struct nar_hasher *hasher = data;
	sha256_update(&hasher->ctx, len, bytes);
	hasher->size += len;
	return 0;
}

struct nar_sink nar_hasher_sink(struct nar_hasher *hasher)
{
	return (struct nar_sink){.write = hasher_write, .data = hasher};
}

struct digest nar_hasher_finish(struct nar_hasher *hasher)
{
	return digest_finish(&hasher->ctx);
}
