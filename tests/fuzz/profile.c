/* SPDX-License-Identifier: MIT */
/* A profile that decodes is canonical: it encodes to the same bytes. */
#include "target.h"

#include "manifest/profile.h"

#include "base/bytes.h"

#include <string.h>

size_t target_mend(uint8_t *data, size_t size)
{
	if (size < PROFILE_HEAD)
		return size;
	size_t count = (size - PROFILE_HEAD) / 8;
	put_le32(data + PROFILE_HEAD - 4, (uint32_t)count);
	return PROFILE_HEAD + 8 * count;
}

bool target_run(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	AUTO_PROFILE profile = {0};
	if (profile_decode(data, size, &profile, &err) < 0) {
		expect(err.msg[0] != '\0');
		return false;
	}
	AUTO_BUF again = {0};
	expect(profile_encode(&profile, &again, &err) == 0);
	expect(again.len == size && memcmp(again.data, data, size) == 0);
	return true;
}
