/* SPDX-License-Identifier: MIT */
/*
 * A table in which everything has one place, so that it is bounded without any order of age. The
 * file is nothing but its records behind a magic number: whoever writes last wins, and a damaged
 * one costs a question more, or sends one to the next cache first.
 */
#include "source/absent.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "base/fd.h"
#include "base/outfile.h"

#include <fcntl.h>
#include <string.h>

#define MAGIC "snbabsn1"                            /* 8 bytes */
enum { RECORD_SIZE = STORE_PATH_HASH_LEN + 8 + 8 }; /* hash, cache, since; little-endian */

/* FNV-1a; whoever makes hashes of store paths meet has questions asked again. */
static size_t place_of(uint64_t cache, const char *hash)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ cache;
	for (size_t i = 0; i < STORE_PATH_HASH_LEN; i++)
		h = (h ^ (uint8_t)hash[i]) * UINT64_C(0x100000001b3);
	return (size_t)(h ^ h >> 32) % ABSENT_PLACES;
}

void absent_put(struct absent *absent, uint64_t cache, const char *hash, int64_t now_s)
{
	struct absent_place *place = &absent->places[place_of(cache, hash)];
	*place = (struct absent_place){.cache = cache, .since_s = now_s};
	memcpy(place->hash, hash, STORE_PATH_HASH_LEN);
	absent->changed = true;
}

/* A clock that was put back makes it unknown. */
static bool counts(const struct absent_place *place, unsigned seconds, int64_t now_s)
{
	return place->since_s > 0 && place->since_s <= now_s && now_s - place->since_s < seconds;
}

enum absence absent_find(
	const struct absent *absent, uint64_t cache, const char *hash, int64_t now_s)
{
	const struct absent_place *place = &absent->places[place_of(cache, hash)];
	if (place->cache != cache || memcmp(place->hash, hash, STORE_PATH_HASH_LEN) != 0)
		return ABSENCE_UNKNOWN;
	if (!place->was_kept && counts(place, ABSENT_JUST_NOW_S, now_s))
		return ABSENCE_JUST_NOW;
	return counts(place, absent->kept_s, now_s) ? ABSENCE_BEFORE : ABSENCE_UNKNOWN;
}

int absent_load(struct absent *absent, const char *path, int64_t now_s, struct err *err)
{
	AUTO_BUF text = {0};
	struct err tried = ERR_INIT;
	if (fd_read_file(AT_FDCWD, path, sizeof(MAGIC) + ABSENT_PLACES * RECORD_SIZE, &text,
		    &tried) < 0) {
		if (tried.kind == ERR_NOT_FOUND || tried.kind == ERR_LIMIT)
			return 0;
		*err = tried;
		return -1;
	}
	size_t at = strlen(MAGIC);
	if (text.len < at || memcmp(text.data, MAGIC, at) != 0)
		return 0;
	for (; text.len - at >= RECORD_SIZE; at += RECORD_SIZE) {
		const uint8_t *record = text.data + at;
		struct absent_place place = {.cache = get_le64(record + STORE_PATH_HASH_LEN),
			.since_s = (int64_t)get_le64(record + STORE_PATH_HASH_LEN + 8),
			.was_kept = true};
		memcpy(place.hash, record, STORE_PATH_HASH_LEN);
		if (counts(&place, absent->kept_s, now_s))
			absent->places[place_of(place.cache, place.hash)] = place;
	}
	return 0;
}

int absent_save(struct absent *absent, const char *path, int64_t now_s, struct err *err)
{
	AUTO_BUF text = {0};
	if (!absent->changed)
		return 0;
	absent->changed = false;
	if (buf_put(&text, MAGIC, strlen(MAGIC), err) < 0)
		return -1;
	for (size_t i = 0; i < ABSENT_PLACES; i++) {
		const struct absent_place *place = &absent->places[i];
		uint8_t record[RECORD_SIZE];
		if (!counts(place, absent->kept_s, now_s))
			continue;
		memcpy(record, place->hash, STORE_PATH_HASH_LEN);
		put_le64(record + STORE_PATH_HASH_LEN, place->cache);
		put_le64(record + STORE_PATH_HASH_LEN + 8, (uint64_t)place->since_s);
		if (buf_put(&text, record, sizeof(record), err) < 0)
			return -1;
	}
	return outfile_write(path, text.data, text.len, err);
}
