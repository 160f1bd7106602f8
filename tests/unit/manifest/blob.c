/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "manifest/chunk.h"

#include "base/fd.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Bytes of which no two pieces are equal. */
static uint8_t *sample(size_t size)
{
	uint8_t *data = malloc(size + 1);
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)(i / PIECE_SIZE * 31 + i % 251);
	return data;
}

static void check_pieces(const struct blob *blob, const uint8_t *data, uint64_t size)
{
	assert_int_equal(blob->size, size);
	struct digest whole = digest_of(data, size);
	assert_true(digest_equal(&blob->digest, &whole));
	uint64_t off = 0;
	for (size_t i = 0; i < blob->pieces.len; i++) {
		struct chunk chunk = blob_chunk(blob, i);
		assert_int_equal(chunk.off, off);
		assert_true(digest_equal(&chunk.object, &whole));
		struct digest digest = digest_of(data + off, chunk.len);
		assert_true(digest_equal(&chunk.digest, &digest));
		assert_false(chunk.is_private);
		off += chunk.len;
	}
	assert_int_equal(off, size);
}

static void cuts_into_pieces(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const uint64_t sizes[] = {1, PIECE_SIZE - 1, PIECE_SIZE, PIECE_SIZE + 1, 3 * PIECE_SIZE};
	const size_t counts[] = {1, 1, 1, 2, 3};
	const char *dir = test_tmpdir();
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		AUTO_FREE uint8_t *data = sample(sizes[i]);
		AUTO(blob_done) struct blob blob = {0};
		assert_ok(blob_of(data, sizes[i], &blob, &err));
		assert_int_equal(blob.pieces.len, counts[i]);
		check_pieces(&blob, data, sizes[i]);
		if (counts[i] == 1)
			assert_true(digest_equal(&blob.digest, &blob.pieces.items[0]));
		/* A file gives the same, wherever its position is. */
		test_write(dir, "f", data, sizes[i]);
		AUTO_FD int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		AUTO_FD int fd = -1;
		AUTO(blob_done) struct blob again = {0};
		assert_ok(fd_open(dirfd, "f", O_RDONLY, &fd, &err));
		assert_true(lseek(fd, 1, SEEK_SET) == 1);
		assert_ok(blob_of_fd(fd, &again, &err));
		check_pieces(&again, data, sizes[i]);
	}
}

static void nothing_is_no_blob(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct blob blob, zero = {0};
	assert_ok(blob_of("", 0, &blob, &err));
	assert_memory_equal(&blob, &zero, sizeof(blob));
	assert_int_equal(blob_of_fd(-1, &blob, &err), -1);
	assert_err(&err, ERR_IO, "cannot read 'object': Bad file descriptor");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cuts_into_pieces),
		cmocka_unit_test(nothing_is_no_blob),
	};
	return TEST_MAIN(tests);
}
