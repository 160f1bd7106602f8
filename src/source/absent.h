/* SPDX-License-Identifier: MIT */
#ifndef SOURCE_ABSENT_H
#define SOURCE_ABSENT_H

/*
 * What caches were found to lack. Whoever has several is spared to ask the first for everything
 * that only the others have: for an hour, as by Nix, and also by the next process, since it is kept
 * in a file of the pool. As long as that, something may have been uploaded meanwhile; so a memory
 * makes nothing fail, but for a minute in the process that was told so itself.
 */

#include "base/err.h"
#include "nix/store_path.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ABSENT_JUST_NOW_S 60
#define ABSENT_PLACES 8192 /* each remembers what came last of all that belongs there */

enum absence {
	ABSENCE_UNKNOWN,
	ABSENCE_BEFORE,   /* it was not there within `kept_s` */
	ABSENCE_JUST_NOW, /* nor within the minute, to this process */
};

struct absent {
	struct absent_place {
		char hash[STORE_PATH_HASH_LEN];
		uint64_t cache;
		int64_t since_s; /* seconds since 1970; 0: nothing is here */
		bool was_kept;   /* it is from the file */
	} places[ABSENT_PLACES];
	unsigned kept_s;
	bool changed; /* since it was loaded */
};

/* `hash` has STORE_PATH_HASH_LEN characters, `cache` is a number that is the same for ever. */
void absent_put(struct absent *absent, uint64_t cache, const char *hash, int64_t now_s);
enum absence absent_find(
	const struct absent *absent, uint64_t cache, const char *hash, int64_t now_s);

/* Adds what is in a file; one that is not there, or is none of ours, says nothing. ERR_IO. */
int absent_load(struct absent *absent, const char *path, int64_t now_s, struct err *err);
/* Replaces the file by what still counts. ERR_IO. */
int absent_save(struct absent *absent, const char *path, int64_t now_s, struct err *err);

#endif
