/* SPDX-License-Identifier: MIT */
#ifndef NIX_NAR_READER_H
#define NIX_NAR_READER_H

/*
 * Reading NARs from anywhere, front to back, in bounded memory. Only what Nix itself writes is
 * taken (src/libutil/archive.cc): names sorted and unique, without '/' and NUL, neither "." nor
 * "..", padding of zeros, nothing behind the end.
 *
 *   nar_reader_new(input, size, &reader)
 *   while (nar_reader_next(reader, &event) == 1)
 *     for NAR_FILE: nar_reader_contents() until the file's bytes are read
 *   nar_reader_hash(reader)
 */

#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAR_NAME_MAX 255    /* bytes (Linux NAME_MAX) */
#define NAR_TARGET_MAX 4095 /* bytes (Linux PATH_MAX less the NUL) */
#define NAR_DEPTH_MAX 4096  /* directories within each other; a path of PATH_MAX has fewer */

/* Where the bytes come from: up to `max` of them, none only at the end. */
struct nar_input {
	int (*read)(void *data, void *bytes, size_t max, size_t *ret_len, struct err *err);
	void *data;
};

enum nar_event_type {
	NAR_FILE,
	NAR_SYMLINK,
	NAR_DIRECTORY,     /* its entries follow */
	NAR_DIRECTORY_END, /* of the innermost open directory */
};

struct nar_event {
	enum nar_event_type type;
	const char
		*name; /* in its directory, NUL-terminated; "" for the root. Until the next call */
	size_t name_len;
	uint64_t size; /* file: bytes */
	bool executable;
	const char *target; /* symlink, NUL-terminated. Until the next call */
	size_t target_len;
};

struct nar_reader;

/* `size` is how long the NAR may be, bytes. ERR_NOMEM. */
int nar_reader_new(
	const struct nar_input *input, uint64_t size, struct nar_reader **ret, struct err *err);
struct nar_reader *nar_reader_free(struct nar_reader *reader); /* NULL is fine; returns NULL */
void nar_reader_free_ptr(struct nar_reader **reader);
#define AUTO_NAR_READER AUTO(nar_reader_free_ptr) struct nar_reader

/*
 * The next event: 1; 0 when the NAR was read to its end and nothing is behind it. ERR_CORRUPT for
 * what is no NAR, ends too early or is longer than announced; ERR_LIMIT for one that is nested too
 * deeply; ERR_BUG when bytes of the last file are left unread; else as the input fails.
 */
int nar_reader_next(struct nar_reader *reader, struct nar_event *ret, struct err *err);

/* Reads the next `size` bytes of the file, which has at least so many left (else ERR_BUG). */
int nar_reader_contents(struct nar_reader *reader, void *data, size_t size, struct err *err);

/* Once nar_reader_next() has returned 0: the SHA-256 and the length of the NAR. */
struct digest nar_reader_hash(struct nar_reader *reader, uint64_t *ret_size);

#endif
