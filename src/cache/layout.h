/* SPDX-License-Identifier: MIT */
#ifndef CACHE_LAYOUT_H
#define CACHE_LAYOUT_H

/*
 * The bytes of a cache on a disk: docs/formats/cache.md. Everything lies on blocks of 4 KiB, so
 * that no write touches a block that holds anything else. Only puts and gets; no I/O.
 */

#include "base/digest.h"
#include "cache/pins.h"
#include "manifest/chunk.h"

#include <stdbool.h>
#include <stdint.h>

#define LAYOUT_BLOCK 4096u
#define LAYOUT_NOTES_OFF LAYOUT_BLOCK
#define LAYOUT_NOTE_MAX (64u * 1024)
#define LAYOUT_NOTE_SLOT (LAYOUT_BLOCK + LAYOUT_NOTE_MAX)
#define LAYOUT_NOTE_SLOTS 32u
#define LAYOUT_NOTE_NAME 64u /* bytes of a name, with a NUL */
#define LAYOUT_ZONES_OFF (4u << 20)
#define LAYOUT_ZONE_MIN (1u << 20)
#define LAYOUT_ZONE_MAX (64u << 20)
#define LAYOUT_ZONES_MIN 4u

#define LAYOUT_RECORD_HEAD 64u
#define LAYOUT_ENTRY 24u
#define LAYOUT_TRAILER 64u
/* The largest record, whole blocks. */
#define LAYOUT_RECORD_MAX \
	((LAYOUT_RECORD_HEAD + CHUNK_MAX + LAYOUT_BLOCK - 1) / LAYOUT_BLOCK * LAYOUT_BLOCK)

struct layout_super {
	uint32_t zone_bytes; /* a power of two */
	uint64_t id;         /* of this formatting: what was on the disk before does not have it */
};
void layout_super_put(uint8_t block[LAYOUT_BLOCK], const struct layout_super *super);
/* False when these are not the first bytes of a cache that this version can use. */
bool layout_super_get(const uint8_t block[LAYOUT_BLOCK], struct layout_super *ret);
/* True when it says it is a cache, of whatever version and state. */
bool layout_is_cache(const uint8_t block[LAYOUT_BLOCK]);
/* The zone size for a new cache of so many bytes: at most some 2,000 zones. */
uint32_t layout_zone_bytes(uint64_t size);

/* The head of a chunk in the log. */
struct layout_record {
	struct digest digest;
	uint32_t len;      /* 1 … CHUNK_MAX */
	uint64_t sequence; /* the zone's */
};
void layout_record_put(
	uint8_t head[LAYOUT_RECORD_HEAD], uint64_t id, const struct layout_record *record);
bool layout_record_get(
	const uint8_t head[LAYOUT_RECORD_HEAD], uint64_t id, struct layout_record *ret);
/* Bytes in the log of a chunk of `len` bytes: a multiple of LAYOUT_BLOCK. */
uint32_t layout_record_size(uint32_t len);

/* The end of a sealed zone: before it lie `count` entries. */
struct layout_trailer {
	uint32_t count;
	uint32_t used; /* bytes of records */
	uint64_t sequence;
};
/* Bytes of the summary of so many chunks: a multiple of LAYOUT_BLOCK. */
uint32_t layout_summary_size(uint32_t count);
void layout_entry_put(uint8_t entry[LAYOUT_ENTRY], const uint8_t key[CACHE_KEY_SIZE],
	uint32_t block, uint32_t len);
/* The key is the entry's first bytes. */
void layout_entry_get(const uint8_t entry[LAYOUT_ENTRY], uint32_t *block, uint32_t *len);
/* Fills in the trailer behind the entries, which lie in `entries`. */
void layout_trailer_put(uint8_t trailer[LAYOUT_TRAILER], uint64_t id,
	const struct layout_trailer *head, const uint8_t *entries);
/* The head without looking at the entries; false when there is none. */
bool layout_trailer_get(const uint8_t trailer[LAYOUT_TRAILER], uint64_t id, uint32_t zone_bytes,
	struct layout_trailer *ret);
/* True when the entries are those that the trailer was written for. */
bool layout_trailer_holds(const uint8_t trailer[LAYOUT_TRAILER], const uint8_t *entries);

struct layout_note {
	char name[LAYOUT_NOTE_NAME];
	uint32_t len; /* at most LAYOUT_NOTE_MAX */
	uint64_t sequence;
};
/* Head and contents lie in one slot: the contents from LAYOUT_BLOCK on. */
void layout_note_put(uint8_t slot[LAYOUT_NOTE_SLOT], uint64_t id, const struct layout_note *note);
bool layout_note_get(const uint8_t slot[LAYOUT_NOTE_SLOT], uint64_t id, struct layout_note *ret);

#endif
