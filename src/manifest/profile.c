/* SPDX-License-Identifier: MIT */
/*
 * Profiles as bytes. Entries are numbers instead of digests: a tenth of the size, and the catalog
 * that gives them their meaning is at hand wherever a profile is of use.
 */
#include "manifest/profile.h"

#include "base/bytes.h"

#include <string.h>

static const uint8_t magic[8] = {'s', 'b', 'p', 'r', 'o', 'f', '0', '1'};

void profile_done(struct profile *profile)
{
	vec_done(&profile->entries);
	*profile = (struct profile){0};
}

int profile_encode(const struct profile *profile, struct buf *out, struct err *err)
{
	size_t count = profile->entries.len;
	if (count > PROFILE_ENTRIES_MAX)
		count = PROFILE_ENTRIES_MAX;
	uint8_t *p = buf_reserve(out, PROFILE_HEAD + 8 * count, err);
	if (p == NULL)
		return -1;
	memcpy(p, magic, sizeof(magic));
	memcpy(p + 8, profile->catalog.bytes, DIGEST_SIZE);
	put_le32(p + 40, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		put_le32(p + PROFILE_HEAD + 8 * i, profile->entries.items[i].member);
		put_le32(p + PROFILE_HEAD + 8 * i + 4, profile->entries.items[i].chunk);
	}
	out->len += PROFILE_HEAD + 8 * count;
	return 0;
}

int profile_decode(const void *data, size_t size, struct profile *ret, struct err *err)
{
	const uint8_t *p = data;
	if (size < PROFILE_HEAD || memcmp(p, magic, sizeof(magic)) != 0)
		return err_raise(err, ERR_CORRUPT, "this is no boot profile");
	uint32_t count = get_le32(p + 40);
	if (count > PROFILE_ENTRIES_MAX || size != PROFILE_HEAD + 8 * (size_t)count)
		return err_raise(err, ERR_CORRUPT,
			"a boot profile of %zu bytes cannot have %u entries", size, count);
	AUTO_PROFILE profile = {0};
	memcpy(profile.catalog.bytes, p + 8, DIGEST_SIZE);
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *e = p + PROFILE_HEAD + 8 * (size_t)i;
		const struct profile_entry entry = {get_le32(e), get_le32(e + 4)};
		if (vec_push(&profile.entries, entry, err) < 0)
			return -1;
	}
	*ret = profile;
	profile = (struct profile){0};
	return 0;
}
