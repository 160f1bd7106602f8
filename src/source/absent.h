/* SPDX-License-Identifier: MIT */
#ifndef SOURCE_ABSENT_H
#define SOURCE_ABSENT_H

/*
 * What caches were found to lack: they are not asked for it again at once, by a server that takes
 * one system after another. For a minute, so that what is uploaded meanwhile is soon seen (Nix
 * remembers for an hour; it keeps that on the disk).
 */

#include "nix/store_path.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ABSENT_S 60
#define ABSENT_MAX 4096 /* the oldest are forgotten */

struct absent {
	struct absence {
		char hash[STORE_PATH_HASH_LEN];
		uint32_t cache;
		int64_t until_s; /* CLOCK_BOOTTIME */
	} items[ABSENT_MAX];
	size_t put; /* in all */
};

/* `hash` has STORE_PATH_HASH_LEN characters, `cache` is the caller's number. */
void absent_put(struct absent *absent, uint32_t cache, const char *hash, int64_t now_s);
bool absent_has(const struct absent *absent, uint32_t cache, const char *hash, int64_t now_s);

#endif
