/* SPDX-License-Identifier: MIT */
#ifndef NODE_LOCAL_H
#define NODE_LOCAL_H

/* What a pool on this machine has: an installed machine shares that without fetching it first. */

#include "cache/cache.h"

/*
 * Reads a chunk from the pool's directory: 1 and a verified chunk, whose reference is the caller's;
 * 0 when the pool does not have it, or has it wrong. Waits for the disk, so it is for hosts only.
 * ERR_NOMEM.
 */
int node_local_read(
	const char *pool, const struct chunk *chunk, struct cache_chunk **ret, struct err *err);

#endif
