/* SPDX-License-Identifier: MIT */
/*
 * The on-disk format as puts and gets on byte arrays. A get believes nothing: it checks magic,
 * identifier, bounds and a piece of a SHA-256, so that a torn or foreign block is told from a
 * record. What a chunk's bytes are worth is not decided here: they are hashed when they are read.
 */
#include "cache/layout.h"

#include "base/bytes.h"
#include "base/mem.h"

#include <assert.h>

#define VERSION 1u
#define SUPER_CHECKED 40u
#define RECORD_CHECKED 56u
#define TRAILER_CHECKED 32u
#define NOTE_CHECKED 88u

static const uint8_t super_magic[16] = "snowboot chunks\n";
static const uint8_t record_magic[4] = {'c', 'h', 'n', 'k'};
static const uint8_t trailer_magic[4] = {'z', 'o', 'n', 'e'};
static const uint8_t note_magic[4] = {'n', 'o', 't', 'e'};

/* Eight bytes of the SHA-256: enough to tell a torn block; it defends against nobody. */
static void check_put(uint8_t *at, const uint8_t *bytes, size_t size)
{
	struct digest digest = digest_of(bytes, size);
	memcpy(at, digest.bytes, 8);
}

static bool check_holds(const uint8_t *at, const uint8_t *bytes, size_t size)
{
	struct digest digest = digest_of(bytes, size);
	return memcmp(at, digest.bytes, 8) == 0;
}

/* 0 means none; and counting on from what a disk claims must not wrap. */
static bool sequence_is_valid(uint64_t sequence)
{
	return sequence != 0 && sequence < UINT64_MAX / 2;
}

void layout_super_put(uint8_t block[LAYOUT_BLOCK], const struct layout_super *super)
{
	memset(block, 0, LAYOUT_BLOCK);
	memcpy(block, super_magic, sizeof(super_magic));
	put_le32(block + 16, VERSION);
	put_le32(block + 20, super->zone_bytes);
	put_le64(block + 24, super->id);
	check_put(block + SUPER_CHECKED, block, SUPER_CHECKED);
}

bool layout_is_cache(const uint8_t block[LAYOUT_BLOCK])
{
	return memcmp(block, super_magic, sizeof(super_magic)) == 0;
}

bool layout_super_get(const uint8_t block[LAYOUT_BLOCK], struct layout_super *ret)
{
	uint32_t zone_bytes = get_le32(block + 20);
	if (!layout_is_cache(block) || get_le32(block + 16) != VERSION ||
		!check_holds(block + SUPER_CHECKED, block, SUPER_CHECKED) ||
		zone_bytes < LAYOUT_ZONE_MIN || zone_bytes > LAYOUT_ZONE_MAX ||
		(zone_bytes & (zone_bytes - 1)) != 0)
		return false;
	*ret = (struct layout_super){.zone_bytes = zone_bytes, .id = get_le64(block + 24)};
	return true;
}

uint32_t layout_zone_bytes(uint64_t size)
{
	uint32_t zone_bytes = LAYOUT_ZONE_MIN;
	while (zone_bytes < LAYOUT_ZONE_MAX && size / zone_bytes > 2048)
		zone_bytes *= 2;
	/* 4 MiB, where that leaves zones to choose from. */
	return zone_bytes < 4u << 20 && size >= 128u << 20 ? 4u << 20 : zone_bytes;
}

void layout_record_put(
	uint8_t head[LAYOUT_RECORD_HEAD], uint64_t id, const struct layout_record *record)
{
	memcpy(head, record_magic, 4);
	put_le32(head + 4, record->len);
	put_le64(head + 8, id);
	put_le64(head + 16, record->sequence);
	memcpy(head + 24, record->digest.bytes, DIGEST_SIZE);
	check_put(head + RECORD_CHECKED, head, RECORD_CHECKED);
}

bool layout_record_get(
	const uint8_t head[LAYOUT_RECORD_HEAD], uint64_t id, struct layout_record *ret)
{
	uint32_t len = get_le32(head + 4);
	if (memcmp(head, record_magic, 4) != 0 || get_le64(head + 8) != id || len == 0 ||
		len > CHUNK_MAX || !sequence_is_valid(get_le64(head + 16)) ||
		!check_holds(head + RECORD_CHECKED, head, RECORD_CHECKED))
		return false;
	ret->len = len;
	ret->sequence = get_le64(head + 16);
	memcpy(ret->digest.bytes, head + 24, DIGEST_SIZE);
	return true;
}

uint32_t layout_record_size(uint32_t len)
{
	assert(len <= CHUNK_MAX);
	return (uint32_t)mem_align(LAYOUT_RECORD_HEAD + len, LAYOUT_BLOCK);
}

uint32_t layout_summary_size(uint32_t count)
{
	return (uint32_t)mem_align(LAYOUT_TRAILER + (uint64_t)count * LAYOUT_ENTRY, LAYOUT_BLOCK);
}

void layout_entry_put(uint8_t entry[LAYOUT_ENTRY], const uint8_t key[CACHE_KEY_SIZE],
	uint32_t block, uint32_t len)
{
	memcpy(entry, key, CACHE_KEY_SIZE);
	put_le32(entry + CACHE_KEY_SIZE, block);
	put_le32(entry + CACHE_KEY_SIZE + 4, len);
}

void layout_entry_get(const uint8_t entry[LAYOUT_ENTRY], uint32_t *block, uint32_t *len)
{
	*block = get_le32(entry + CACHE_KEY_SIZE);
	*len = get_le32(entry + CACHE_KEY_SIZE + 4);
}

static struct digest trailer_digest(
	const uint8_t trailer[LAYOUT_TRAILER], uint32_t count, const uint8_t *entries)
{
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	sha256_update(&ctx, TRAILER_CHECKED, trailer);
	sha256_update(&ctx, (size_t)count * LAYOUT_ENTRY, entries);
	return digest_finish(&ctx);
}

void layout_trailer_put(uint8_t trailer[LAYOUT_TRAILER], uint64_t id,
	const struct layout_trailer *head, const uint8_t *entries)
{
	memset(trailer, 0, LAYOUT_TRAILER);
	memcpy(trailer, trailer_magic, 4);
	put_le32(trailer + 4, head->count);
	put_le64(trailer + 8, id);
	put_le64(trailer + 16, head->sequence);
	put_le32(trailer + 24, head->used);
	struct digest digest = trailer_digest(trailer, head->count, entries);
	memcpy(trailer + TRAILER_CHECKED, digest.bytes, DIGEST_SIZE);
}

bool layout_trailer_get(const uint8_t trailer[LAYOUT_TRAILER], uint64_t id, uint32_t zone_bytes,
	struct layout_trailer *ret)
{
	uint32_t count = get_le32(trailer + 4), used = get_le32(trailer + 24);
	if (memcmp(trailer, trailer_magic, 4) != 0 || get_le64(trailer + 8) != id ||
		count > zone_bytes / LAYOUT_BLOCK || used > zone_bytes ||
		used % LAYOUT_BLOCK != 0 || !sequence_is_valid(get_le64(trailer + 16)) ||
		layout_summary_size(count) > zone_bytes - used)
		return false;
	*ret = (struct layout_trailer){
		.count = count, .used = used, .sequence = get_le64(trailer + 16)};
	return true;
}

bool layout_trailer_holds(const uint8_t trailer[LAYOUT_TRAILER], const uint8_t *entries)
{
	struct digest digest = trailer_digest(trailer, get_le32(trailer + 4), entries);
	return memcmp(trailer + TRAILER_CHECKED, digest.bytes, DIGEST_SIZE) == 0;
}

static struct digest note_digest(const uint8_t slot[LAYOUT_NOTE_SLOT], uint32_t len)
{
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	sha256_update(&ctx, NOTE_CHECKED, slot);
	sha256_update(&ctx, len, slot + LAYOUT_BLOCK);
	return digest_finish(&ctx);
}

void layout_note_put(uint8_t slot[LAYOUT_NOTE_SLOT], uint64_t id, const struct layout_note *note)
{
	assert(note->len <= LAYOUT_NOTE_MAX);
	memset(slot, 0, LAYOUT_BLOCK);
	memcpy(slot, note_magic, 4);
	put_le32(slot + 4, note->len);
	put_le64(slot + 8, id);
	put_le64(slot + 16, note->sequence);
	memcpy(slot + 24, note->name, LAYOUT_NOTE_NAME);
	struct digest digest = note_digest(slot, note->len);
	memcpy(slot + NOTE_CHECKED, digest.bytes, DIGEST_SIZE);
}

bool layout_note_get(const uint8_t slot[LAYOUT_NOTE_SLOT], uint64_t id, struct layout_note *ret)
{
	uint32_t len = get_le32(slot + 4);
	if (memcmp(slot, note_magic, 4) != 0 || get_le64(slot + 8) != id || len > LAYOUT_NOTE_MAX ||
		!sequence_is_valid(get_le64(slot + 16)) || slot[24] == '\0' ||
		slot[24 + LAYOUT_NOTE_NAME - 1] != '\0')
		return false;
	struct digest digest = note_digest(slot, len);
	if (memcmp(slot + NOTE_CHECKED, digest.bytes, DIGEST_SIZE) != 0)
		return false;
	ret->len = len;
	ret->sequence = get_le64(slot + 16);
	memcpy(ret->name, slot + 24, LAYOUT_NOTE_NAME);
	return true;
}
