/* SPDX-License-Identifier: MIT */
#include "serve/objects.h"

#include "pool/pool.h"

#include "test.h"

#include <string.h>

/* A pool with a catalog of two members, of which one is private; they share a chunk. */
struct sample {
	struct pool *pool;
	struct catalog catalog;
	struct blob catalog_blob;
	struct digest segments[2];
	struct chunk_table tables[2];
};

static struct blob put_blob(struct pool *pool, const void *data, size_t size)
{
	struct err err = ERR_INIT;
	struct blob blob;
	struct digest digest;
	assert_ok(pool_put(pool, data, size, &digest, &err));
	assert_ok(blob_of(data, size, &blob, &err));
	assert_true(digest_equal(&blob.digest, &digest));
	return blob;
}

static void add_member(struct sample *s, size_t i, const char *segment, bool is_private)
{
	struct err err = ERR_INIT;
	AUTO_BUF encoded = {0};
	struct chunk_table *table = &s->tables[i];
	size_t half = strlen(segment) / 2;
	assert_ok(pool_put(s->pool, segment, 2 * half, &s->segments[i], &err));
	table->object = s->segments[i];
	table->size = 2 * half;
	for (uint64_t n = 0; n < 2; n++) {
		assert_ok(vec_push(&table->starts, n * half, &err));
		assert_ok(vec_push(&table->digests, (struct digest){{0}}, &err));
	}
	for (size_t n = 0; n < 2; n++) {
		struct chunk chunk = chunk_table_at(table, n);
		table->digests.items[n] = digest_of(segment + chunk.off, chunk.len);
	}
	assert_ok(chunk_table_encode(table, &encoded, &err));
	struct catalog_member member = {.name = strdup(i == 0 ? "a" : "b"),
		.tree = put_blob(s->pool, i == 0 ? "tree a" : "tree b", 6),
		.chunks = put_blob(s->pool, encoded.data, encoded.len),
		.is_private = is_private};
	assert_ok(vec_push(&s->catalog.members, member, &err));
}

static void make(struct sample *s)
{
	struct err err = ERR_INIT;
	static char first[8192 + 1], second[8192 + 1];
	memset(first, 'x', 8192);
	memset(second, 'y', 4096);
	memset(second + 4096, 'z', 4096);
	memcpy(first + 4096, second + 4096, 4096);
	assert_ok(pool_open(test_tmpdir(), 0, &s->pool, &err));
	add_member(s, 0, first, false);
	add_member(s, 1, second, true);
	s->catalog_blob = put_blob(s->pool, "catalog", 7);
}

static void done(struct sample *s)
{
	catalog_done(&s->catalog);
	blob_done(&s->catalog_blob);
	chunk_table_done(&s->tables[0]);
	chunk_table_done(&s->tables[1]);
	pool_close(s->pool);
}

static void found_and_read(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sample s = {0};
	AUTO(object_set_done) struct object_set set = {0};
	uint8_t bytes[8192];
	make(&s);
	assert_ok(object_set_read(s.pool, &s.catalog, &s.catalog_blob, &set, &err));
	assert_int_equal(set.objects.len, 7); /* catalog, and tree, table, segment twice */
	for (size_t i = 1; i < set.objects.len; i++)
		assert_true(digest_compare(&set.objects.items[i - 1].digest,
				    &set.objects.items[i].digest) < 0);
	assert_non_null(object_set_find(&set, &s.segments[1]));
	assert_null(object_set_find(&set, &(struct digest){{1}}));
	assert_null(object_set_chunk(&set, &(struct digest){{1}}));
	for (size_t n = 0; n < 2; n++) {
		struct chunk chunk = chunk_table_at(&s.tables[1], n);
		const struct chunk_place *place = object_set_chunk(&set, &chunk.digest);
		assert_non_null(place);
		assert_true(place->is_private);
		assert_int_equal(place->len, chunk.len);
		assert_ok(object_set_load(&set, place, 0, bytes, place->len, &err));
		struct digest got = digest_of(bytes, place->len);
		assert_true(digest_equal(&got, &chunk.digest));
	}
	done(&s);
}

/* Both segments end in the same chunk: it is private, wherever it is found first. */
static void shared_with_a_private_one(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sample s = {0};
	AUTO(object_set_done) struct object_set set = {0};
	make(&s);
	assert_ok(object_set_read(s.pool, &s.catalog, &s.catalog_blob, &set, &err));
	struct chunk own = chunk_table_at(&s.tables[0], 0);
	struct chunk shared = chunk_table_at(&s.tables[0], 1);
	assert_false(object_set_chunk(&set, &own.digest)->is_private);
	const struct chunk_place *place = object_set_chunk(&set, &shared.digest);
	assert_true(place->is_private);
	assert_int_equal(place->member, 0);
	assert_int_equal(place->index, 1);
	done(&s);
}

static void a_table_that_is_gone(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sample s = {0};
	AUTO(object_set_done) struct object_set set = {0};
	make(&s);
	AUTO_FREE char *path =
		pool_object_path(s.pool, &s.catalog.members.items[1].chunks.digest, &err);
	test_shell("rm -f %s", path);
	assert_int_equal(object_set_read(s.pool, &s.catalog, &s.catalog_blob, &set, &err), -1);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_memory_equal(err.msg, "chunks of 'b': ", 15);
	done(&s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found_and_read),
		cmocka_unit_test(shared_with_a_private_one),
		cmocka_unit_test(a_table_that_is_gone),
	};
	return TEST_MAIN(tests);
}
