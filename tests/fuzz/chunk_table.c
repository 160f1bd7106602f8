/* SPDX-License-Identifier: MIT */
/* A chunk table that decodes covers its segment without a gap, in chunks no larger than a node has
 * room for, and is encoded to the very bytes it was read from. */
#include "target.h"

#include "manifest/chunk.h"

#include "base/bytes.h"

#include <string.h>

/* docs/formats/chunks.md: a head with size and count, then rows of a length and a digest. */
enum { OFF_SIZE = 40, OFF_COUNT = 48, HEAD = 52, ROW = 36 };

size_t target_mend(uint8_t *data, size_t size)
{
	if (size < HEAD)
		return size;
	size_t count = (size - HEAD) / ROW;
	uint64_t sum = 0;
	for (size_t i = 0; i < count; i++)
		sum += get_le32(data + HEAD + i * ROW);
	put_le64(data + OFF_SIZE, sum);
	put_le32(data + OFF_COUNT, (uint32_t)count);
	return HEAD + count * ROW;
}

bool target_run(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	AUTO(chunk_table_done) struct chunk_table table = {0};
	if (chunk_table_decode(data, size, &table, &err) < 0) {
		expect(err.kind == ERR_CORRUPT || err.kind == ERR_UNSUPPORTED);
		expect(err.msg[0] != '\0');
		return false;
	}
	uint64_t reach = 0;
	for (size_t i = 0; i < table.starts.len; i++) {
		struct chunk chunk = chunk_table_at(&table, i);
		expect(chunk.off <= reach && chunk.len > 0 && chunk.len <= CHUNK_MAX);
		reach = chunk.off + chunk.len;
		size_t found = chunk_table_find(&table, chunk.off);
		struct chunk other = chunk_table_at(&table, found);
		expect(other.off <= chunk.off && other.off + other.len >= reach);
	}
	expect(reach == table.size);
	AUTO_BUF bytes = {0};
	expect(chunk_table_encode(&table, &bytes, &err) == 0);
	expect(bytes.len == size && memcmp(bytes.data, data, size) == 0);
	return true;
}
