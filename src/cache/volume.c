/* SPDX-License-Identifier: MIT */
/*
 * Reads and writes of a cache that is open (volume_open.c). All I/O is in whole, aligned blocks,
 * past the page cache where the file can (O_DIRECT): the page cache belongs to the system's root.
 * Where it cannot, what was read or written is dropped from it.
 */
#include "cache/volume.h"

#include "base/fd.h"
#include "base/mem.h"
#include "cache/pins.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void volume_done(struct volume *volume)
{
	if (volume->fd >= 0)
		close(volume->fd);
	free(volume->buffer);
	*volume = (struct volume){.fd = -1};
}

static int read_at(struct volume *volume, void *data, size_t size, uint64_t off, struct err *err)
{
	size_t len;
	if (fd_pread_full(volume->fd, data, size, off, "the cache", &len, err) < 0)
		return -1;
	if (!volume->direct)
		posix_fadvise(volume->fd, (off_t)off, (off_t)size, POSIX_FADV_DONTNEED);
	memset((uint8_t *)data + len, 0,
		size - len); /* cut off: what is missing reads as nothing */
	return 0;
}

static int write_at(
	struct volume *volume, const void *data, size_t size, uint64_t off, struct err *err)
{
	if (volume->read_only)
		return err_errno(err, EROFS, "cannot write to the cache");
	const uint8_t *bytes = data;
	for (size_t done = 0; done < size;) {
		ssize_t n = pwrite(volume->fd, bytes + done, size - done, (off_t)(off + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_errno(err, n == 0 ? EIO : errno, "cannot write to the cache");
		done += (size_t)n;
	}
	return 0;
}

static uint64_t zone_off(const struct volume *volume, uint32_t zone)
{
	return LAYOUT_ZONES_OFF + (uint64_t)zone * volume->zone_bytes;
}

static uint64_t block_off(uint64_t block)
{
	return LAYOUT_ZONES_OFF + block * LAYOUT_BLOCK;
}

int volume_note(struct volume *volume, uint32_t slot, struct layout_note *ret_note, struct err *err)
{
	uint64_t off = LAYOUT_NOTES_OFF + (uint64_t)slot * LAYOUT_NOTE_SLOT;
	if (read_at(volume, volume->buffer, LAYOUT_NOTE_SLOT, off, err) < 0)
		return -1;
	return layout_note_get(volume->buffer, volume->id, ret_note);
}

int volume_write_note(struct volume *volume, uint32_t slot, const struct layout_note *note,
	const void *bytes, struct err *err)
{
	uint64_t off = LAYOUT_NOTES_OFF + (uint64_t)slot * LAYOUT_NOTE_SLOT;
	memset(volume->buffer, 0, LAYOUT_NOTE_SLOT);
	memcpy(volume->buffer + LAYOUT_BLOCK, bytes, note->len);
	layout_note_put(volume->buffer, volume->id, note);
	if (write_at(volume, volume->buffer, LAYOUT_NOTE_SLOT, off, err) < 0)
		return -1;
	return volume_sync(volume, err);
}

/* By the summary: 1 when there is a whole one, 0 when not. */
static int scan_summary(struct volume *volume, uint32_t zone, volume_each_fn *each, void *data,
	struct volume_zone *ret, struct err *err)
{
	struct layout_trailer trailer;
	AUTO_FREE uint8_t *summary = NULL;
	uint64_t end = zone_off(volume, zone) + volume->zone_bytes;
	if (read_at(volume, volume->buffer, LAYOUT_BLOCK, end - LAYOUT_BLOCK, err) < 0)
		return -1;
	if (!layout_trailer_get(volume->buffer + LAYOUT_BLOCK - LAYOUT_TRAILER, volume->id,
		    volume->zone_bytes, &trailer))
		return 0;
	uint32_t size = layout_summary_size(trailer.count);
	if ((summary = aligned_alloc(LAYOUT_BLOCK, size)) == NULL)
		return err_oom(err);
	if (read_at(volume, summary, size, end - size, err) < 0)
		return -1;
	const uint8_t *tail = summary + size - LAYOUT_TRAILER;
	const uint8_t *entries = tail - (size_t)trailer.count * LAYOUT_ENTRY;
	if (!layout_trailer_holds(tail, entries))
		return 0;
	for (uint32_t i = 0; i < trailer.count; i++) {
		const uint8_t *entry = entries + (size_t)i * LAYOUT_ENTRY;
		uint32_t block, len;
		layout_entry_get(entry, &block, &len);
		if (block >= trailer.used / LAYOUT_BLOCK || len == 0 || len > CHUNK_MAX ||
			layout_record_size(len) > trailer.used - block * LAYOUT_BLOCK)
			return 0;
		if (each(entry, block, len, data, err) < 0)
			return -1;
	}
	*ret = (struct volume_zone){trailer.sequence, trailer.used, trailer.count};
	return 1;
}

/* By the records, as far as they belong to one writing of the zone. */
static int scan_records(struct volume *volume, uint32_t zone, volume_each_fn *each, void *data,
	struct volume_zone *ret, struct err *err)
{
	struct volume_zone found = {0};
	struct layout_record record;
	while (found.used + LAYOUT_BLOCK <= volume->zone_bytes) {
		uint64_t off = zone_off(volume, zone) + found.used;
		if (read_at(volume, volume->buffer, LAYOUT_BLOCK, off, err) < 0)
			return -1;
		if (!layout_record_get(volume->buffer, volume->id, &record) ||
			(found.count > 0 && record.sequence != found.sequence) ||
			layout_record_size(record.len) > volume->zone_bytes - found.used)
			break;
		if (each(record.digest.bytes, found.used / LAYOUT_BLOCK, record.len, data, err) < 0)
			return -1;
		found.sequence = record.sequence;
		found.used += layout_record_size(record.len);
		found.count++;
	}
	*ret = found;
	return 0;
}

int volume_scan(struct volume *volume, uint32_t zone, volume_each_fn *each, void *data,
	struct volume_zone *ret, struct err *err)
{
	int r = scan_summary(volume, zone, each, data, ret, err);
	return r != 0 ? (r < 0 ? -1 : 0) : scan_records(volume, zone, each, data, ret, err);
}

int volume_read(struct volume *volume, uint64_t block, const struct layout_record *record,
	const uint8_t **ret_bytes, struct err *err)
{
	struct layout_record found;
	uint8_t *buffer = volume->buffer;
	if (read_at(volume, buffer, layout_record_size(record->len), block_off(block), err) < 0)
		return -1;
	if (!layout_record_get(buffer, volume->id, &found) || found.len != record->len ||
		memcmp(found.digest.bytes, record->digest.bytes, CACHE_KEY_SIZE) != 0)
		return 1;
	struct digest digest = digest_of(buffer + LAYOUT_RECORD_HEAD, found.len);
	if (!digest_equal(&digest, &found.digest))
		return 1;
	*ret_bytes = buffer + LAYOUT_RECORD_HEAD;
	return 0;
}

static int write_buffer(
	struct volume *volume, uint64_t block, const struct layout_record *record, struct err *err)
{
	uint32_t size = layout_record_size(record->len), len = LAYOUT_RECORD_HEAD + record->len;
	layout_record_put(volume->buffer, volume->id, record);
	memset(volume->buffer + len, 0, size - len);
	return write_at(volume, volume->buffer, size, block_off(block), err);
}

int volume_write(struct volume *volume, uint64_t block, const struct layout_record *record,
	const void *bytes, struct err *err)
{
	memcpy(volume->buffer + LAYOUT_RECORD_HEAD, bytes, record->len);
	return write_buffer(volume, block, record, err);
}

int volume_copy(struct volume *volume, uint64_t from, uint64_t to,
	const struct layout_record *record, struct err *err)
{
	const uint8_t *bytes;
	int r = volume_read(volume, from, record, &bytes, err);
	if (r != 0)
		return r;
	struct layout_record copy = *record;
	copy.digest = digest_of(bytes, record->len); /* the caller may know only its key */
	return write_buffer(volume, to, &copy, err);
}

int volume_begin_zone(struct volume *volume, uint32_t zone, struct err *err)
{
	uint64_t begin = zone_off(volume, zone), end = begin + volume->zone_bytes;
	if (volume_sync(volume, err) < 0)
		return -1;
	/* A file is full here or nowhere within the zone. Partitions have no such call. */
	if (!volume->read_only && fallocate(volume->fd, 0, (off_t)begin, volume->zone_bytes) < 0 &&
		(errno == ENOSPC || errno == EDQUOT))
		return err_sys(err, "cannot write to the cache");
	memset(volume->buffer, 0, LAYOUT_BLOCK);
	return write_at(volume, volume->buffer, LAYOUT_BLOCK, end - LAYOUT_BLOCK, err);
}

int volume_seal_zone(struct volume *volume, uint32_t zone, const struct layout_trailer *trailer,
	const uint8_t *entries, struct err *err)
{
	uint32_t size = layout_summary_size(trailer->count);
	AUTO_FREE uint8_t *summary = aligned_alloc(LAYOUT_BLOCK, size);
	if (summary == NULL)
		return err_oom(err);
	uint64_t begin = zone_off(volume, zone), end = begin + volume->zone_bytes;
	uint8_t *tail = summary + size - LAYOUT_TRAILER;
	size_t len = (size_t)trailer->count * LAYOUT_ENTRY;
	memset(summary, 0, size);
	memcpy(tail - len, entries, len);
	layout_trailer_put(tail, volume->id, trailer, tail - len);
	if (write_at(volume, summary, size, end - size, err) < 0 || volume_sync(volume, err) < 0)
		return -1;
	if (!volume->direct)
		posix_fadvise(volume->fd, (off_t)begin, volume->zone_bytes, POSIX_FADV_DONTNEED);
	return 0;
}

int volume_sync(struct volume *volume, struct err *err)
{
	if (volume->read_only)
		return 0;
	return fdatasync(volume->fd) < 0 ? err_sys(err, "cannot write to the cache") : 0;
}
