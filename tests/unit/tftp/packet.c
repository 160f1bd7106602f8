/* SPDX-License-Identifier: MIT */
#include "tftp/packet.h"

#include "base/mem.h"
#include "test.h"

#include <string.h>

/* A string constant with its inner NULs, and the one at its end. */
#define DECODE(text, ret) tftp_request_decode((const uint8_t *)(text), sizeof(text), ret, &err)

static void plain_request(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct tftp_request r = {0};
	assert_int_equal(DECODE("\0\1undionly.kpxe\0octet", &r), 1);
	assert_false(r.write);
	assert_string_equal(r.name, "undionly.kpxe");
	assert_int_equal(r.mode, TFTP_MODE_OCTET);
	assert_int_equal(r.block_size, 0);
	assert_int_equal(r.window, 0);
	assert_int_equal(r.timeout_s, 0);
	assert_false(r.wants_size);
	assert_int_equal(DECODE("\0\2x\0NetAscii", &r), 1);
	assert_true(r.write);
	assert_int_equal(r.mode, TFTP_MODE_NETASCII);
	assert_int_equal(DECODE("\0\1x\0mail", &r), 1);
	assert_int_equal(r.mode, TFTP_MODE_OTHER);
}

static void options(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct tftp_request r = {0};
	assert_int_equal(DECODE("\0\1x\0OCTET\0blksize\0001468\0tsize\0000\0TimeOut\0005\0"
				"windowsize\00016\0multicast\0",
				 &r),
		1);
	assert_int_equal(r.block_size, 1468);
	assert_true(r.wants_size);
	assert_int_equal(r.timeout_s, 5);
	assert_int_equal(r.window, 16);
	/* The bounds, and a name without its value. */
	assert_int_equal(DECODE("\0\1x\0octet\0blksize\0008\0windowsize\00065535\0timeout", &r), 1);
	assert_int_equal(r.block_size, 8);
	assert_int_equal(r.window, 65535);
	assert_int_equal(r.timeout_s, 0);
	static const char *const values[] = {
		"7", "65465", "", "-8", "+8", "8 ", "0x10", "99999999999"};
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		uint8_t packet[64] = "\0\1x\0octet\0blksize";
		size_t len = 18;
		memcpy(packet + len, values[i], strlen(values[i]) + 1);
		assert_int_equal(
			tftp_request_decode(packet, len + strlen(values[i]) + 1, &r, &err), 1);
		assert_int_equal(r.block_size, 0);
	}
}

static void no_requests(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct tftp_request r = {0};
	static const uint8_t ack[] = {0, 4, 0, 1}, error[] = {0, 5, 0, 1, 'x', 0}, odd[] = {0, 9};
	assert_int_equal(tftp_request_decode(ack, sizeof(ack), &r, &err), 0);
	assert_int_equal(tftp_request_decode(error, sizeof(error), &r, &err), 0);
	assert_int_equal(tftp_request_decode(odd, sizeof(odd), &r, &err), 0);
	assert_int_equal(tftp_request_decode(ack, 1, &r, &err), 0);
	assert_int_equal(tftp_request_decode(ack, 0, &r, &err), 0);
}

static void malformed(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct tftp_request r = {0};
	static const uint8_t open[] = {0, 1, 'x', 0, 'o', 'c'}, none[] = {0, 1};
	uint8_t longest[2 + TFTP_NAME_MAX + 1 + 6] = {0, 1}, longer[sizeof(longest) + 1] = {0, 1};
	assert_int_equal(tftp_request_decode(open, sizeof(open), &r, &err), -1);
	assert_err(&err, ERR_CORRUPT, "the request ends before its mode");
	assert_int_equal(tftp_request_decode(none, sizeof(none), &r, &err), -1);
	assert_err(&err, ERR_CORRUPT, "the request ends before its mode");
	memset(longest + 2, 'x', TFTP_NAME_MAX);
	memcpy(longest + 2 + TFTP_NAME_MAX + 1, "octet", 6);
	assert_int_equal(tftp_request_decode(longest, sizeof(longest), &r, &err), 1);
	assert_int_equal(strlen(r.name), TFTP_NAME_MAX);
	memset(longer + 2, 'x', TFTP_NAME_MAX + 1);
	memcpy(longer + 2 + TFTP_NAME_MAX + 2, "octet", 6);
	assert_int_equal(tftp_request_decode(longer, sizeof(longer), &r, &err), -1);
	assert_err(&err, ERR_CORRUPT, "the file name has 512 bytes > max 511");
	assert_int_equal(DECODE("\0\1a\033[2J\0octet", &r), -1);
	assert_err(&err, ERR_CORRUPT, "the file name has a control character");
}

static void assert_path(const char *name, const char *want)
{
	struct err err = ERR_INIT;
	struct tftp_request r = {0};
	char path[TFTP_NAME_MAX + 1];
	memcpy(r.name, name, strlen(name));
	assert_ok(tftp_request_path(&r, path, &err));
	assert_string_equal(path, want);
}

static void assert_no_path(const char *name, const char *message)
{
	struct err err = ERR_INIT;
	struct tftp_request r = {0};
	char path[TFTP_NAME_MAX + 1];
	memcpy(r.name, name, strlen(name));
	assert_int_equal(tftp_request_path(&r, path, &err), -1);
	assert_err(&err, ERR_USAGE, message);
}

static void paths(void **state)
{
	(void)state;
	assert_path("undionly.kpxe", "undionly.kpxe");
	assert_path("//boot\\x\\\\initrd/", "boot/x/initrd");
	assert_path("\\Boot\\BCD", "Boot/BCD");
	assert_path("a..b/...", "a..b/...");
	assert_no_path("../etc/passwd", "the file name has a part '..'");
	assert_no_path("a/..\\b", "the file name has a part '..'");
	assert_no_path("a/..", "the file name has a part '..'");
	assert_no_path("./a", "the file name has a part '.'");
	assert_no_path("", "the file name is empty");
	assert_no_path("/\\", "the file name is empty");
}

static void replies(void **state)
{
	(void)state;
	struct tftp_reply r = {0};
	static const uint8_t ack[] = {0, 4, 0xfe, 0xdc, 99}, open[] = {0, 5, 0, 8, 'n', '\n'};
	uint8_t error[300] = {0, 5, 0, 0};
	assert_true(tftp_reply_decode(ack, sizeof(ack), &r));
	assert_int_equal(r.opcode, TFTP_ACK);
	assert_int_equal(r.number, 0xfedc);
	assert_false(tftp_reply_decode(ack, 3, &r));
	assert_true(tftp_reply_decode(open, sizeof(open), &r));
	assert_int_equal(r.opcode, TFTP_ERROR);
	assert_int_equal(r.number, 8);
	assert_string_equal(r.text, "n?");
	memset(error + 4, 'x', sizeof(error) - 4);
	assert_true(tftp_reply_decode(error, sizeof(error), &r));
	assert_int_equal(strlen(r.text), TFTP_TEXT_MAX);
	static const uint8_t data[] = {0, 3, 0, 1, 'x'};
	assert_false(tftp_reply_decode(data, sizeof(data), &r));
}

static void written(void **state)
{
	(void)state;
	uint8_t out[256];
	char text[400];
	static const uint8_t all[] = "\0\6blksize\0001468\0timeout\0005\0windowsize\00016\0tsize\0"
				     "18446744073709551615";
	const struct tftp_options options = {1468, 5, 16, true, UINT64_MAX};
	assert_int_equal(tftp_put_options(out, &options), sizeof(all));
	assert_memory_equal(out, all, sizeof(all));
	const struct tftp_options longest = {65464, 255, 65535, true, UINT64_MAX};
	assert_true(tftp_put_options(out, &longest) <= TFTP_OPTIONS_MAX);
	const struct tftp_options size = {.has_size = true};
	assert_int_equal(tftp_put_options(out, &size), 10);
	assert_memory_equal(out, "\0\6tsize\0000", 10);
	assert_int_equal(tftp_put_block(out, 0x1234), 4);
	assert_memory_equal(out, "\0\3\x12\x34", 4);
	assert_int_equal(tftp_put_error(out, TFTP_CODE_NOT_FOUND, "no"), 7);
	assert_memory_equal(out, "\0\5\0\1no", 7);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(tftp_put_error(out, TFTP_CODE_OTHER, text), 4 + TFTP_TEXT_MAX + 1);
	assert_int_equal(out[4 + TFTP_TEXT_MAX], 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_request),
		cmocka_unit_test(options),
		cmocka_unit_test(no_requests),
		cmocka_unit_test(malformed),
		cmocka_unit_test(paths),
		cmocka_unit_test(replies),
		cmocka_unit_test(written),
	};
	return TEST_MAIN(tests);
}
