/* SPDX-License-Identifier: MIT */
/* The newstyle negotiation, byte by byte; libnbd.c has real clients. */
#include "client.h"

#define ERROR(n) (0x80000000u + (n))
enum { EXPORT_NAME = 1, ABORT, LIST, INFO = 6, GO, STRUCTURED_REPLY };
enum { ACK = 1, SERVER, INFORMATION };

static void greet(struct client *client, uint32_t flags)
{
	uint8_t hello[18], reply[4];
	client_start(client, true);
	client_receive(client, hello, sizeof(hello));
	assert_memory_equal(hello, "NBDMAGICIHAVEOPT\0\3", 18);
	put_be32(reply, flags);
	client_send(client, reply, sizeof(reply));
}

static void option(struct client *client, uint32_t number, const void *data, uint32_t len)
{
	uint8_t head[16];
	put_be64(head, UINT64_C(0x49484156454F5054));
	put_be32(head + 8, number);
	put_be32(head + 12, len);
	client_send(client, head, sizeof(head));
	client_send(client, data, len);
}

/* A reply to that option comes, with that type and data. */
static void expect(
	struct client *client, uint32_t number, uint32_t type, const void *data, uint32_t len)
{
	uint8_t head[20], got[128];
	client_receive(client, head, sizeof(head));
	assert_int_equal(get_be64(head), UINT64_C(0x3e889045565a9));
	assert_int_equal(get_be32(head + 8), number);
	assert_int_equal(get_be32(head + 12), type);
	assert_int_equal(get_be32(head + 16), len);
	client_receive(client, got, len);
	assert_memory_equal(got, data, len);
}

static const char export_info[] = "\0\0\0\0\0\0\0\x80\0\0\1\3";
static const char block_info[] = "\0\3\0\0\0\1\0\0\x10\0\2\0\0";

static void can_read(struct client *client)
{
	client_request(client, 0, 0, 7, 100, 1000);
	client_reply(client, 7, 0);
	client_data(client, 100, 1000);
}

static void go(void **state)
{
	(void)state;
	struct client client;
	greet(&client, 3);
	option(&client, STRUCTURED_REPLY, "", 0);
	expect(&client, STRUCTURED_REPLY, ERROR(1), "", 0);
	option(&client, LIST, "", 0);
	expect(&client, LIST, SERVER, "\0\0\0\6system", 10);
	expect(&client, LIST, ACK, "", 0);
	option(&client, INFO, "\0\0\0\5other\0\0", 11);
	expect(&client, INFO, ERROR(6), "", 0);
	option(&client, INFO, "\0\0\0\0\0\0", 6);
	expect(&client, INFO, INFORMATION, export_info, 12);
	expect(&client, INFO, ACK, "", 0);
	/* wishes: block size twice, name, one that we do not know */
	option(&client, GO, "\0\0\0\6system\0\4\0\3\0\3\0\1\0\x63", 20);
	expect(&client, GO, INFORMATION, export_info, 12);
	expect(&client, GO, INFORMATION, "\0\1system", 8);
	expect(&client, GO, INFORMATION, block_info, 14);
	expect(&client, GO, ACK, "", 0);
	can_read(&client);
	client_stop(&client);
}

static void export_name(void **state)
{
	(void)state;
	struct client client;
	uint8_t reply[134], zeroes[124] = {0};
	greet(&client, 3);
	option(&client, EXPORT_NAME, "system", 6);
	client_receive(&client, reply, 10);
	assert_memory_equal(reply, export_info + 2, 10);
	can_read(&client);
	client_stop(&client);

	greet(&client, 1);
	option(&client, EXPORT_NAME, "", 0);
	client_receive(&client, reply, 134);
	assert_memory_equal(reply, export_info + 2, 10);
	assert_memory_equal(reply + 10, zeroes, 124);
	can_read(&client);
	client_stop(&client);

	greet(&client, 3);
	option(&client, EXPORT_NAME, "other", 5);
	client_silent(&client);
	assert_null(client.connection);
	assert_err(&client.failure, ERR_NOT_FOUND, "the client asks for export 'other'");
	client_stop(&client);
}

static void abort_and_malformed(void **state)
{
	(void)state;
	struct client client;
	uint8_t *big = calloc(1, 20000);
	greet(&client, 3);
	option(&client, LIST, "x", 1);
	expect(&client, LIST, ERROR(3), "", 0);
	static const struct {
		const char *data;
		uint32_t len;
	} malformed[] = {{"", 0}, {"\0\0\0\0\0", 5}, {"\0\0\0\1\0\0", 6}, {"\0\0\0\0\0\1", 6},
		{"\0\0\0\0\0\0\0", 7}, {"\xff\xff\xff\xff\0\0", 6}, {"\xff\xff\xff\xfa\0\0", 6}};
	for (size_t i = 0; i < ARRAY_LEN(malformed); i++) {
		option(&client, GO, malformed[i].data, malformed[i].len);
		expect(&client, GO, ERROR(3), "", 0);
	}
	option(&client, 99, big, 20000);
	expect(&client, 99, ERROR(9), "", 0);
	option(&client, ABORT, "", 0);
	expect(&client, ABORT, ACK, "", 0);
	client_silent(&client);
	assert_null(client.connection);
	assert_true(err_clean(&client.failure));
	client_stop(&client);
	free(big);
}

static void garbage(void **state)
{
	(void)state;
	struct client client;
	greet(&client, 4);
	client_silent(&client);
	assert_err(&client.failure, ERR_CORRUPT, "the client sets unknown flags: 0x4");
	client_stop(&client);

	greet(&client, 3);
	client_send(&client, "GET / HTTP/1.1\r\n", 16);
	client_silent(&client);
	assert_err(&client.failure, ERR_CORRUPT,
		"the client sends no option: magic 0x474554202f204854");
	client_stop(&client);

	greet(&client, 3);
	uint8_t head[16] = "IHAVEOPT\0\0\0\7\x10\0\0\0";
	client_send(&client, head, sizeof(head));
	client_silent(&client);
	assert_err(&client.failure, ERR_CORRUPT,
		"the client sends an option of 268435456 bytes > max 8192");
	client_stop(&client);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(go),
		cmocka_unit_test(export_name),
		cmocka_unit_test(abort_and_malformed),
		cmocka_unit_test(garbage),
	};
	return TEST_MAIN(tests);
}
