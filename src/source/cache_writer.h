/* SPDX-License-Identifier: MIT */
#ifndef SOURCE_CACHE_WRITER_H
#define SOURCE_CACHE_WRITER_H

/* A binary cache as plain files, as Nix reads it. */

#include "manifest/key.h"
#include "nix/narinfo.h"
#include "pool/pool.h"

struct cache_writer {
	const char *dir;
	enum nar_compression compression; /* but not brotli, which is only read */
	const struct secret_key *keys;    /* all of which sign */
	size_t key_count;
	unsigned jobs; /* threads; 0: all cores */
};

struct cache_written {
	size_t paths;   /* that were not there */
	uint64_t bytes; /* of their NARs, packed */
};

/*
 * Writes the closure's store paths that the directory does not have yet, out of the pool, which has
 * all of them. A path's narinfo comes after its NAR and after those of what it refers to, so that
 * what can be found there is always whole. ERR_IO, ERR_CORRUPT for a damaged segment.
 */
int cache_write(const struct cache_writer *writer, struct pool *pool, const struct closure *closure,
	const struct pool_params *params, struct progress *progress, struct cache_written *ret,
	struct err *err);

#endif
