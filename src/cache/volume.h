/* SPDX-License-Identifier: MIT */
#ifndef CACHE_VOLUME_H
#define CACHE_VOLUME_H

/*
 * A cache's file or partition, read and written with calls that block: what the helper process
 * does. Whatever the bytes are, nothing here fails in a worse way than with an error or "not
 * there".
 */

#include "base/err.h"
#include "cache/layout.h"

struct volume {
	int fd;
	bool direct;    /* O_DIRECT: past the page cache */
	bool read_only; /* the medium is */
	uint64_t id;
	uint32_t zone_bytes;
	uint32_t zone_count;
	uint8_t *buffer; /* LAYOUT_RECORD_MAX bytes, aligned */
};

/*
 * Opens `path`: a partition, a file, or a directory that gets a file "chunks". What is no cache is
 * made one, but a partition only when nothing else is on it (ERR_USAGE). `max` in bytes, 0: the
 * partition's size, a tenth of the file system. ERR_AGAIN when another process uses it, ERR_LIMIT
 * when it is too small, ERR_IO, ERR_NOT_FOUND.
 */
int volume_open(const char *path, uint64_t max, struct volume *ret, struct err *err);
void volume_done(struct volume *volume);

/* One note by its slot: 1 and *ret_note, whose contents lie in volume->buffer + LAYOUT_BLOCK; 0
 * when the slot holds none. ERR_IO. */
int volume_note(
	struct volume *volume, uint32_t slot, struct layout_note *ret_note, struct err *err);
/* Writes a note, so that it is on the disk when this returns. ERR_IO, ERR_LIMIT. */
int volume_write_note(struct volume *volume, uint32_t slot, const struct layout_note *note,
	const void *bytes, struct err *err);

struct volume_zone {
	uint64_t sequence; /* 0: the zone holds nothing */
	uint32_t used;     /* bytes */
	uint32_t count;    /* of records, which `each` was told */
};
typedef int volume_each_fn(
	const uint8_t *key, uint32_t block, uint32_t len, void *data, struct err *err);
/* Tells what a zone claims to hold, by its summary or by its records; block counts from the zone's
 * begin. ERR_IO, or the failure of `each`. */
int volume_scan(struct volume *volume, uint32_t zone, volume_each_fn *each, void *data,
	struct volume_zone *ret, struct err *err);

/*
 * Reads the record at `block` (from the first zone on) and hashes it: 0, the bytes are *ret_bytes
 * within volume->buffer; 1: what lies there is not that chunk. ERR_IO.
 */
int volume_read(struct volume *volume, uint64_t block, const struct layout_record *record,
	const uint8_t **ret_bytes, struct err *err);
/* Writes a record. ERR_IO, ERR_LIMIT (the disk is full). */
int volume_write(struct volume *volume, uint64_t block, const struct layout_record *record,
	const void *bytes, struct err *err);
/* Copies a record, verified on the way; 1: it is rotten and was not copied. As volume_write(). */
int volume_copy(struct volume *volume, uint64_t from, uint64_t to,
	const struct layout_record *record, struct err *err);

/* Invalidates the summary, when all that was written before is on the disk: a zone may be written
 * now. As volume_write(). */
int volume_begin_zone(struct volume *volume, uint32_t zone, struct err *err);
/* Writes a zone's summary: `entries` as layout_entry_put() makes them. As volume_write(). */
int volume_seal_zone(struct volume *volume, uint32_t zone, const struct layout_trailer *trailer,
	const uint8_t *entries, struct err *err);
int volume_sync(struct volume *volume, struct err *err);

#endif
