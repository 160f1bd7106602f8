/* SPDX-License-Identifier: MIT */
/*
 * Whatever bytes a cache's disk holds, it opens or is refused, and what a read gives is what its
 * digest names. The input is a byte that chooses, and then the first block, a note's slot (two
 * blocks), a zone's begin and, as its last block, the zone's end. When the byte is odd, their
 * checksums are put right first, so that what is believed behind them is reached.
 */
#include "target.h"

#include "base/bytes.h"
#include "cache/volume.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ZONES 4u
#define HEAD_BLOCKS 3u

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Takes up to `size` bytes off the input and puts them at `off`. */
static void place(int fd, const uint8_t **data, size_t *left, size_t size, uint64_t off)
{
	size = min_size(size, *left);
	expect(pwrite(fd, *data, size, (off_t)off) == (ssize_t)size);
	*data += size;
	*left -= size;
}

/* docs/formats/cache.md: where the checksums are. */
static void seal(uint8_t *at, size_t size, const uint8_t *bytes, size_t len)
{
	struct digest digest = digest_of(bytes, len);
	memcpy(at, digest.bytes, size);
}

static void seal_note(uint8_t *slot)
{
	struct sha256_ctx ctx;
	uint32_t len = get_le32(slot + 4);
	sha256_init(&ctx);
	sha256_update(&ctx, 88, slot);
	sha256_update(&ctx, len < LAYOUT_BLOCK ? len : LAYOUT_BLOCK, slot + LAYOUT_BLOCK);
	struct digest digest = digest_finish(&ctx);
	memcpy(slot + 88, digest.bytes, DIGEST_SIZE);
}

static void seal_records(uint8_t *zone, size_t size)
{
	for (size_t at = 0; at + LAYOUT_BLOCK <= size; at += LAYOUT_BLOCK) {
		uint8_t *head = zone + at;
		uint32_t len = get_le32(head + 4);
		if (memcmp(head, "chnk", 4) != 0)
			continue;
		if (len <= size - at - LAYOUT_RECORD_HEAD)
			seal(head + 24, DIGEST_SIZE, head + LAYOUT_RECORD_HEAD, len);
		seal(head + 56, 8, head, 56);
	}
}

static void seal_trailer(uint8_t *block)
{
	struct sha256_ctx ctx;
	uint8_t *trailer = block + LAYOUT_BLOCK - LAYOUT_TRAILER;
	uint32_t count = get_le32(trailer + 4);
	if (count > (LAYOUT_BLOCK - LAYOUT_TRAILER) / LAYOUT_ENTRY)
		return;
	sha256_init(&ctx);
	sha256_update(&ctx, 32, trailer);
	sha256_update(&ctx, count * LAYOUT_ENTRY, trailer - (size_t)count * LAYOUT_ENTRY);
	struct digest digest = digest_finish(&ctx);
	memcpy(trailer + 32, digest.bytes, DIGEST_SIZE);
}

static void seal_all(uint8_t *data, size_t size)
{
	if (size < (HEAD_BLOCKS + 1) * LAYOUT_BLOCK)
		return;
	seal(data + 40, 8, data, 40);
	seal_note(data + LAYOUT_BLOCK);
	seal_records(data + HEAD_BLOCKS * LAYOUT_BLOCK, size - (HEAD_BLOCKS + 1) * LAYOUT_BLOCK);
	seal_trailer(data + size - LAYOUT_BLOCK);
}

struct claims {
	struct volume *volume;
	uint32_t zone;
	size_t count;
	struct {
		struct layout_record record;
		uint32_t block;
	} list[64];
};

static int claim(const uint8_t *key, uint32_t block, uint32_t len, void *data, struct err *err)
{
	(void)err;
	struct claims *claims = data;
	expect(len > 0 && len <= CHUNK_MAX);
	expect((uint64_t)block * LAYOUT_BLOCK + layout_record_size(len) <=
		claims->volume->zone_bytes);
	if (claims->count < 64) {
		claims->list[claims->count].record.len = len;
		memcpy(claims->list[claims->count].record.digest.bytes, key, CACHE_KEY_SIZE);
		claims->list[claims->count++].block = block;
	}
	return 0;
}

/* How many chunks are whole. */
static size_t read_zone(struct volume *volume, uint32_t zone)
{
	struct err err = ERR_INIT;
	struct claims claims = {.volume = volume, .zone = zone};
	struct volume_zone found;
	size_t whole = 0;
	expect(volume_scan(volume, zone, claim, &claims, &found, &err) == 0);
	expect(found.used <= volume->zone_bytes);
	for (size_t i = 0; i < claims.count; i++) {
		const uint8_t *bytes;
		const struct layout_record *record = &claims.list[i].record;
		uint64_t block =
			(uint64_t)zone * (volume->zone_bytes / LAYOUT_BLOCK) + claims.list[i].block;
		int r = volume_read(volume, block, record, &bytes, &err);
		expect(r >= 0);
		if (r != 0)
			continue;
		struct digest digest = digest_of(bytes, record->len);
		expect(memcmp(digest.bytes, record->digest.bytes, CACHE_KEY_SIZE) == 0);
		whole++;
	}
	return whole;
}

bool target_run(const uint8_t *input, size_t input_size)
{
	static int fd = -1;
	size_t size = input_size > 0 ? input_size - 1 : 0;
	AUTO_FREE uint8_t *data = malloc(size + 1);
	expect(data != NULL);
	memcpy(data, input + (input_size - size), size);
	if (input_size > 0 && input[0] % 2 != 0)
		seal_all(data, size);
	struct err err = ERR_INIT;
	struct volume volume;
	struct layout_note note;
	char path[64];
	if (fd < 0)
		fd = memfd_create("cache", MFD_CLOEXEC);
	uint64_t whole = LAYOUT_ZONES_OFF + ZONES * LAYOUT_ZONE_MIN;
	expect(ftruncate(fd, 0) == 0 && ftruncate(fd, (off_t)whole) == 0);
	size_t tail = size > LAYOUT_BLOCK * (HEAD_BLOCKS + 1) ? LAYOUT_BLOCK : 0;
	size_t left = size - tail;
	const uint8_t *at = data;
	place(fd, &at, &left, LAYOUT_BLOCK, 0);
	place(fd, &at, &left, LAYOUT_BLOCK * 2, LAYOUT_NOTES_OFF);
	place(fd, &at, &left, LAYOUT_ZONE_MIN, LAYOUT_ZONES_OFF);
	left = tail;
	place(fd, &at, &left, tail, LAYOUT_ZONES_OFF + LAYOUT_ZONE_MIN - tail);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (volume_open(path, whole, &volume, &err) < 0) {
		expect(err.msg[0] != '\0');
		return false;
	}
	expect(volume.zone_count >= LAYOUT_ZONES_MIN);
	if (volume_note(&volume, 0, &note, &err) == 1) {
		expect(note.len <= LAYOUT_NOTE_MAX && strlen(note.name) < sizeof(note.name));
		expect(note.sequence != 0 && note.sequence < UINT64_MAX / 2); /* to count on from */
	}
	size_t chunks = 0;
	for (uint32_t zone = 0; zone < volume.zone_count; zone++)
		chunks += read_zone(&volume, zone);
	volume_done(&volume);
	return chunks > 0;
}
