/* SPDX-License-Identifier: MIT */
/* A profile that decodes is canonical: it encodes to the same bytes. */
#include "target.h"

#include "manifest/profile.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	AUTO_PROFILE profile = {0};
	if (profile_decode(data, size, &profile, &err) < 0)
		return 0;
	AUTO_BUF again = {0};
	if (profile_encode(&profile, &again, &err) < 0 || again.len != size ||
		memcmp(again.data, data, size) != 0)
		abort();
	return 0;
}
