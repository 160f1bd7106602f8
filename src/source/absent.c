/* SPDX-License-Identifier: MIT */
/* A ring that is searched from its youngest end, as what is old counts no more. */
#include "source/absent.h"

#include <string.h>

void absent_put(struct absent *absent, uint32_t cache, const char *hash, int64_t now_s)
{
	struct absence *item = &absent->items[absent->put++ % ABSENT_MAX];
	memcpy(item->hash, hash, STORE_PATH_HASH_LEN);
	item->cache = cache;
	item->until_s = now_s + ABSENT_S;
}

bool absent_has(const struct absent *absent, uint32_t cache, const char *hash, int64_t now_s)
{
	size_t kept = absent->put < ABSENT_MAX ? absent->put : ABSENT_MAX;
	for (size_t i = 1; i <= kept; i++) {
		const struct absence *item = &absent->items[(absent->put - i) % ABSENT_MAX];
		if (item->until_s <= now_s)
			return false; /* the rest is older */
		if (item->cache == cache && memcmp(item->hash, hash, STORE_PATH_HASH_LEN) == 0)
			return true;
	}
	return false;
}
