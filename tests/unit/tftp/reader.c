/* SPDX-License-Identifier: MIT */
#include "tftp/reader.h"

#include "base/path.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

/* "memory", five zeros, and the file from its third byte on. */
struct mixed {
	struct http_body body;
	char *path;
};

static void piece_at(const struct http_body *body, uint64_t off, struct http_piece *ret)
{
	static const uint8_t memory[] = "memory";
	if (off < 6)
		*ret = (struct http_piece){HTTP_PIECE_MEMORY, 6 - off, memory + off, NULL, 0};
	else if (off < 11)
		*ret = (struct http_piece){HTTP_PIECE_ZERO, 11 - off, NULL, NULL, 0};
	else
		*ret = (struct http_piece){HTTP_PIECE_FILE, body->size - off, NULL,
			((const struct mixed *)body)->path, off - 11 + 2};
}

static const struct http_body_ops ops = {.piece_at = piece_at};

static void pieces(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	static const uint8_t want[] = "memory\0\0\0\0\0file";
	const char *dir = test_tmpdir();
	test_write(dir, "x", "a file", 6);
	struct mixed mixed = {
		.body = {.ops = &ops, .size = 15}, .path = path_printf(&err, "%s/x", dir)};
	struct tftp_reader reader = TFTP_READER_INIT;
	reader.body = &mixed.body;
	uint8_t data[16];
	for (size_t off = 0; off <= 15; off++) {
		for (size_t len = 0; off + len <= 15; len++) {
			memset(data, 0xee, sizeof(data));
			assert_ok(tftp_reader_read(&reader, off, data, len, &err));
			assert_memory_equal(data, want + off, len);
			assert_int_equal(data[len], 0xee);
		}
	}
	tftp_reader_done(&reader);
	free(mixed.path);
}

static void short_file(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	char msg[256];
	const char *dir = test_tmpdir();
	test_write(dir, "x", "a fil", 5);
	struct mixed mixed = {
		.body = {.ops = &ops, .size = 15}, .path = path_printf(&err, "%s/x", dir)};
	struct tftp_reader reader = TFTP_READER_INIT;
	reader.body = &mixed.body;
	uint8_t data[16];
	assert_int_equal(tftp_reader_read(&reader, 10, data, 5, &err), -1);
	snprintf(msg, sizeof(msg), "'%s' ends before offset 2, where 4 bytes are expected",
		mixed.path);
	assert_err(&err, ERR_CORRUPT, msg);
	tftp_reader_done(&reader);
	remove(mixed.path);
	assert_int_equal(tftp_reader_read(&reader, 10, data, 5, &err), -1);
	snprintf(msg, sizeof(msg), "cannot open '%s': No such file or directory", mixed.path);
	assert_err(&err, ERR_NOT_FOUND, msg);
	free(mixed.path);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces),
		cmocka_unit_test(short_file),
	};
	return TEST_MAIN(tests);
}
