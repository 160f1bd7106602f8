/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/bytes.h"
#include "manifest/catalog.h"

#include <string.h>

/* A blob of `size` bytes; its digests are made up from the name. */
static struct blob make_blob(const char *name, uint64_t size)
{
	struct err err = ERR_INIT;
	struct blob blob = {.size = size};
	if (size == 0)
		return blob;
	blob.digest = digest_of(name, strlen(name));
	for (uint64_t off = 0; off < size; off += PIECE_SIZE) {
		struct digest piece =
			size > PIECE_SIZE ? digest_of(&off, sizeof(off)) : blob.digest;
		assert_ok(vec_push(&blob.pieces, piece, &err));
	}
	return blob;
}

static void put_member(struct catalog *catalog, const char *name, uint64_t tree, uint64_t chunks)
{
	struct err err = ERR_INIT;
	struct catalog_member member = {.name = strdup(name),
		.tree = make_blob(name, tree),
		.chunks = make_blob("chunks", chunks),
		.is_private = strstr(name, "secret") != NULL};
	assert_ok(vec_push(&catalog->members, member, &err));
}

static void put_file(struct catalog *catalog, const char *name, uint64_t size)
{
	struct err err = ERR_INIT;
	struct catalog_file file = {.name = strdup(name), .blob = make_blob(name, size)};
	assert_ok(vec_push(&catalog->files, file, &err));
}

static void sample(struct catalog *catalog)
{
	*catalog = (struct catalog){.image_size = 40960, .metadata = digest_of("metadata", 8)};
	put_member(catalog, "aaaa-empty", 80, 0);
	put_member(catalog, "bbbb-secret", 3 * PIECE_SIZE, 500);
	put_member(catalog, "cccc-large", PIECE_SIZE, PIECE_SIZE + 1);
	put_file(catalog, "kernel", 2 * PIECE_SIZE);
	put_file(catalog, "plan", 100);
	put_file(catalog, "registration", 0);
}

static void reads_back_what_it_writes(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_CATALOG catalog, again = {0};
	AUTO_BUF bytes = {0}, twice = {0};
	sample(&catalog);
	assert_ok(catalog_encode(&catalog, &bytes, &err));
	assert_ok(catalog_decode(bytes.data, bytes.len, &again, &err));
	assert_int_equal(again.image_size, 40960);
	assert_true(digest_equal(&again.metadata, &catalog.metadata));
	assert_int_equal(again.members.len, 3);
	assert_false(again.members.items[0].is_private);
	assert_true(again.members.items[1].is_private);
	assert_string_equal(again.members.items[2].name, "cccc-large");
	assert_int_equal(again.members.items[0].chunks.size, 0);
	assert_int_equal(again.members.items[0].tree.pieces.len, 1);
	assert_int_equal(again.members.items[2].chunks.pieces.len, 2);
	assert_int_equal(catalog_file(&again, "plan")->blob.size, 100);
	assert_int_equal(catalog_file(&again, "registration")->blob.size, 0);
	assert_null(catalog_file(&again, "initramfs"));
	assert_ok(catalog_encode(&again, &twice, &err));
	assert_int_equal(twice.len, bytes.len);
	assert_memory_equal(twice.data, bytes.data, bytes.len);
}

static void every_truncation_fails_cleanly(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_CATALOG catalog, got = {0};
	AUTO_BUF bytes = {0};
	sample(&catalog);
	assert_ok(catalog_encode(&catalog, &bytes, &err));
	for (size_t len = 0; len < bytes.len; len++) {
		AUTO_FREE uint8_t *copy = malloc(len + 1);
		memcpy(copy, bytes.data, len);
		assert_int_equal(catalog_decode(copy, len, &got, &err), -1);
		assert_int_equal(err.kind, ERR_CORRUPT);
		assert_string_equal(err.msg, len < 8 ? "not a catalog" : "catalog is cut off");
		err_reset(&err);
	}
	assert_ok(buf_put(&bytes, "xy", 2, &err));
	assert_int_equal(catalog_decode(bytes.data, bytes.len, &got, &err), -1);
	assert_err(&err, ERR_CORRUPT, "catalog: 2 bytes follow its end");
	assert_int_equal(catalog_decode(bytes.data, CATALOG_MAX + 1, &got, &err), -1);
	assert_err(&err, ERR_CORRUPT, "catalog: 67108865 bytes > max 67108864");
}

static void refuses_what_it_would_not_read(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const struct {
		const char *first, *second;
		uint64_t tree, image;
		const char *msg;
	} cases[] = {
		{"b", "a", 1, 4096, "catalog: 'a' behind 'b'"},
		{"a", "a", 1, 4096, "catalog: 'a' behind 'a'"},
		{"a", "", 1, 4096, "catalog: a name of 0 bytes is not valid"},
		{"a", "b/c", 1, 4096, "catalog: a name of 3 bytes is not valid"},
		{"a", "b\x1b", 1, 4096, "catalog: a name of 2 bytes is not valid"},
		{"..", "b", 1, 4096, "catalog: a name of 2 bytes is not valid"},
		{"a", "b", 0, 4096, "catalog: 'a' has no tree"},
		{"a", "b", 1, 4095, "catalog: an image of 4095 bytes"},
		{"a", "b", 1, 0, "catalog: an image of 0 bytes"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_CATALOG catalog = {.image_size = cases[i].image};
		AUTO_BUF bytes = {0};
		put_member(&catalog, cases[i].first, cases[i].tree, 0);
		put_member(&catalog, cases[i].second, 1, 0);
		assert_int_equal(catalog_encode(&catalog, &bytes, &err), -1);
		assert_int_equal(bytes.len, 0);
		assert_err(&err, ERR_CORRUPT, cases[i].msg);
	}
	AUTO_CATALOG odd = {.image_size = 4096};
	AUTO_BUF bytes = {0};
	put_member(&odd, "a", 3 * PIECE_SIZE, 0);
	odd.members.items[0].tree.pieces.len = 1;
	assert_int_equal(catalog_encode(&odd, &bytes, &err), -1);
	assert_err(&err, ERR_BUG, "blob of 393216 bytes has 1 pieces");
}

static void says_what_is_wrong(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_CATALOG catalog, got = {0};
	AUTO_BUF good = {0};
	sample(&catalog);
	assert_ok(catalog_encode(&catalog, &good, &err));
	const struct {
		size_t at;
		uint8_t value;
		enum err_kind kind;
		const char *msg;
	} cases[] = {
		{0, 'x', ERR_CORRUPT, "not a catalog"},
		{7, 9, ERR_UNSUPPORTED, "catalog of version 9, this program reads 1"},
		{8, 1, ERR_CORRUPT, "catalog: an image of 40961 bytes"},
		{15, 0x80, ERR_CORRUPT, "catalog: an image of 9223372036854816768 bytes"},
		{57, '.', ERR_CORRUPT, "catalog: a name of 10 bytes is not valid"},
		{57, 'z', ERR_CORRUPT, "catalog: 'bbbb-secret' behind 'zaaa-empty'"},
		{58, 0, ERR_CORRUPT, "catalog: a name of 10 bytes is not valid"},
		{67, 2, ERR_CORRUPT, "catalog: 'aaaa-empty' has unknown flags 0x02"},
		/* A size that would ask for more digests than there are bytes in the world. */
		{75, 0xff, ERR_CORRUPT, "catalog is cut off"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t was = good.data[cases[i].at];
		good.data[cases[i].at] = cases[i].value;
		assert_int_equal(catalog_decode(good.data, good.len, &got, &err), -1);
		assert_err(&err, cases[i].kind, cases[i].msg);
		good.data[cases[i].at] = was;
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_back_what_it_writes),
		cmocka_unit_test(every_truncation_fails_cleanly),
		cmocka_unit_test(refuses_what_it_would_not_read),
		cmocka_unit_test(says_what_is_wrong),
	};
	return TEST_MAIN(tests);
}
