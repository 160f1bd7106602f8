/* SPDX-License-Identifier: MIT */
/*
 * The chunks of one segment. The table keeps where blocks begin, which need not be on any boundary;
 * what is transferred is rounded outwards, so a start that two chunks have in one KiB makes them
 * overlap there. It knows nothing of how the segment was cut (carrier/chunk_tables.c does).
 */
#include "manifest/wire.h"

#define TABLE_MAGIC "SBCHNK\0\1" /* the last byte is the version */
#define TABLE_MAGIC_SIZE 8

enum {
	TABLE_OFF_OBJECT = 8, /* SHA-256 */
	TABLE_OFF_SIZE = 40,  /* u64 */
	TABLE_OFF_COUNT = 48, /* u32 */
	TABLE_HEADER_SIZE = 52,
	TABLE_ROW_SIZE = 4 + DIGEST_SIZE, /* u32 length before rounding, SHA-256 after */
};

void chunk_table_done(struct chunk_table *table)
{
	vec_done(&table->digests);
	vec_done(&table->starts);
	*table = (struct chunk_table){0};
}

static uint64_t start_of(const struct chunk_table *table, size_t i)
{
	return i < table->starts.len ? table->starts.items[i] : table->size;
}

struct chunk chunk_table_at(const struct chunk_table *table, size_t i)
{
	uint64_t begin = start_of(table, i) & ~(uint64_t)(CHUNK_ALIGN - 1);
	uint64_t end = mem_align(start_of(table, i + 1), CHUNK_ALIGN);
	if (end > table->size)
		end = table->size;
	return (struct chunk){.digest = table->digests.items[i],
		.object = table->object,
		.off = begin,
		.len = (uint32_t)(end - begin)};
}

/* A chunk's end never lies before that of the one in front, so the last that holds it is it. */
size_t chunk_table_find(const struct chunk_table *table, uint64_t off)
{
	uint64_t behind = mem_align(off + 1, CHUNK_ALIGN);
	size_t low = 0, high = table->starts.len; /* the answer is in [low, high) */
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (table->starts.items[middle] < behind)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* A table that can be used: covers the segment, in steps that CHUNK_MAX allows. */
static int check(const struct chunk_table *table, struct err *err)
{
	size_t count = table->starts.len;
	if (count == 0 || table->size == 0 || table->starts.items[0] != 0)
		return err_raise(err, ERR_CORRUPT, "chunk table is empty");
	for (size_t i = 0; i < count; i++) {
		uint64_t begin = start_of(table, i), end = start_of(table, i + 1);
		if (end <= begin || end - begin > PIECE_SIZE)
			return err_raise(err, ERR_CORRUPT,
				"chunk table: chunk %zu goes from %ju to %ju, of at most %u bytes",
				i, (uintmax_t)begin, (uintmax_t)end, PIECE_SIZE);
	}
	return 0;
}

int chunk_table_encode(const struct chunk_table *table, struct buf *out, struct err *err)
{
	if (table->digests.len != table->starts.len || table->starts.len > UINT32_MAX)
		return err_raise(err, ERR_BUG, "chunk table has %zu starts and %zu digests",
			table->starts.len, table->digests.len);
	if (check(table, err) < 0)
		return -1;
	if (buf_put(out, TABLE_MAGIC, TABLE_MAGIC_SIZE, err) < 0 ||
		buf_put(out, table->object.bytes, DIGEST_SIZE, err) < 0 ||
		wire_put_u64(out, table->size, err) < 0 ||
		wire_put_u32(out, (uint32_t)table->starts.len, err) < 0)
		return -1;
	for (size_t i = 0; i < table->starts.len; i++) {
		uint64_t len = start_of(table, i + 1) - start_of(table, i);
		if (wire_put_u32(out, (uint32_t)len, err) < 0 ||
			buf_put(out, table->digests.items[i].bytes, DIGEST_SIZE, err) < 0)
			return -1;
	}
	return 0;
}

static int read_header(const uint8_t *data, size_t size, struct chunk_table *table,
	uint32_t *ret_count, struct err *err)
{
	if (size < TABLE_HEADER_SIZE || memcmp(data, TABLE_MAGIC, TABLE_MAGIC_SIZE - 1) != 0)
		return err_raise(err, ERR_CORRUPT, "not a chunk table");
	uint8_t version = data[TABLE_MAGIC_SIZE - 1], known = TABLE_MAGIC[TABLE_MAGIC_SIZE - 1];
	if (version != known)
		return err_raise(err, ERR_UNSUPPORTED,
			"chunk table of version %u, this program reads %u", version, known);
	memcpy(table->object.bytes, data + TABLE_OFF_OBJECT, DIGEST_SIZE);
	table->size = get_le64(data + TABLE_OFF_SIZE);
	*ret_count = get_le32(data + TABLE_OFF_COUNT);
	if ((uint64_t)*ret_count * TABLE_ROW_SIZE != size - TABLE_HEADER_SIZE)
		return err_raise(err, ERR_CORRUPT, "chunk table of %zu bytes cannot have %u chunks",
			size, *ret_count);
	return 0;
}

int chunk_table_decode(const void *data, size_t size, struct chunk_table *ret, struct err *err)
{
	AUTO(chunk_table_done) struct chunk_table table = {0};
	uint32_t count = 0;
	if (read_header(data, size, &table, &count, err) < 0)
		return -1;
	const uint8_t *row = (const uint8_t *)data + TABLE_HEADER_SIZE;
	uint64_t at = 0;
	for (uint32_t i = 0; i < count; i++, row += TABLE_ROW_SIZE) {
		struct digest digest;
		memcpy(digest.bytes, row + 4, DIGEST_SIZE);
		if (vec_push(&table.starts, at, err) < 0 ||
			vec_push(&table.digests, digest, err) < 0)
			return -1;
		at += get_le32(row); /* 2^32 rows of 2^32 do not overflow */
	}
	if (at != table.size)
		return err_raise(err, ERR_CORRUPT,
			"chunk table: its chunks have %ju bytes, its segment %ju", (uintmax_t)at,
			(uintmax_t)table.size);
	if (check(&table, err) < 0)
		return -1;
	*ret = table;
	table = (struct chunk_table){0};
	return 0;
}
