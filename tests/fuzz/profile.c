/* SPDX-License-Identifier: MIT */
/* A profile that decodes is canonical: it encodes to the same bytes. */
#include "target.h"

#include "manifest/profile.h"

#include <string.h>

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
