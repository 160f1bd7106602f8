/* SPDX-License-Identifier: MIT */
/*
 * A pool is known here by its files alone (docs/formats/pool.md): objects/<2 digits>/<64 digits>.
 * So it needs no lock: an object appears whole, and one that goes away is one that is not there.
 */
#include "node/local.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"

#include <fcntl.h>

int node_local_read(
	const char *pool, const struct chunk *chunk, struct cache_chunk **ret, struct err *err)
{
	struct err missing = ERR_INIT;
	char hex[DIGEST_HEX_SIZE];
	size_t len;
	AUTO_FD int fd = -1;
	digest_hex(&chunk->object, hex);
	AUTO_FREE char *path = path_printf(err, "%s/objects/%.2s/%s", pool, hex, hex);
	if (path == NULL)
		return -1;
	if (fd_open(AT_FDCWD, path, O_RDONLY, &fd, &missing) < 0) {
		if (missing.kind != ERR_NOT_FOUND)
			log_ignored(&missing);
		return 0;
	}
	struct cache_chunk *bytes = cache_chunk_new(&chunk->digest, chunk->len, err);
	if (bytes == NULL)
		return -1;
	int r = fd_pread_full(fd, bytes->bytes, chunk->len, chunk->off, path, &len, &missing);
	if (r < 0)
		log_ignored(&missing);
	struct digest digest = digest_of(bytes->bytes, chunk->len);
	if (r == 0 && len == chunk->len && digest_equal(&digest, &chunk->digest)) {
		*ret = bytes;
		return 1;
	}
	if (r == 0)
		log_warning("object '%s' is not what it should be, ignoring", path);
	cache_chunk_unref(bytes);
	return 0;
}
