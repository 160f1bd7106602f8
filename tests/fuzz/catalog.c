/* SPDX-License-Identifier: MIT */
/* A catalog that decodes is encoded to the very bytes it was read from, and each of its pieces can
 * be asked for. */
#include "target.h"

#include "manifest/catalog.h"

#include <string.h>

static void walk(const struct blob *blob)
{
	uint64_t at = 0;
	for (size_t i = 0; i < blob->pieces.len; i++) {
		struct chunk chunk = blob_chunk(blob, i);
		expect(chunk.off == at && chunk.len > 0 && chunk.len <= CHUNK_MAX);
		at += chunk.len;
	}
	expect(at == blob->size);
}

bool target_run(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	AUTO_CATALOG catalog = {0};
	if (catalog_decode(data, size, &catalog, &err) < 0) {
		expect(err.kind == ERR_CORRUPT || err.kind == ERR_UNSUPPORTED);
		expect(err.msg[0] != '\0');
		return false;
	}
	VEC_FOREACH(member, &catalog.members) {
		walk(&member->tree);
		walk(&member->chunks);
	}
	VEC_FOREACH(file, &catalog.files)
		walk(&file->blob);
	AUTO_BUF bytes = {0};
	expect(catalog_encode(&catalog, &bytes, &err) == 0);
	expect(bytes.len == size && memcmp(bytes.data, data, size) == 0);
	return true;
}
