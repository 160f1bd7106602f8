/* SPDX-License-Identifier: MIT */
#ifndef POOL_SUPPLY_H
#define POOL_SUPPLY_H

/* Store paths that come from elsewhere as NARs, for pool_add_from(). */

#include "base/digest.h"
#include "nix/nar_reader.h"

/* One NAR on its way. */
struct pool_feed {
	struct nar_input input;
	const char *from;        /* what it is read from, for messages; lives as long as the feed */
	bool is_file;            /* the store path must be one file with this hash */
	struct digest file_hash; /* SHA-256 */
	void *handle;            /* the supply's own */
};

/* Calls come from several threads at once, but for begin(). */
struct pool_supply {
	/* These items of the closure will be asked for, in about this order. */
	int (*begin)(void *data, const size_t *items, size_t count, struct err *err);
	/* Opens the NAR of an item; `attempt` counts those that failed before. 1, or 0 when there
	 * is nowhere else to take it from. */
	int (*open)(
		void *data, size_t item, unsigned attempt, struct pool_feed *ret, struct err *err);
	void (*close)(void *data, struct pool_feed *feed);
	void *data;
};

#endif
