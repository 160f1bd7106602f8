/* SPDX-License-Identifier: MIT */
/* The transmission phase, as the kernel speaks it on a socket pair. */
#include "client.h"

#include <errno.h>

enum { READ, WRITE, DISC, FLUSH, TRIM, CACHE, WRITE_ZEROES };

static void reads(void **state)
{
	(void)state;
	static const struct {
		uint64_t off;
		uint32_t len;
	} cases[] = {{0, 1}, {0, 4096}, {4095, 131072}, {CLIENT_SIZE - 1, 1}, {0, CLIENT_SIZE}};
	struct client client;
	client_start(&client, false);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		client_request(&client, 0, READ, i, cases[i].off, cases[i].len);
		client_reply(&client, i, 0);
		client_data(&client, cases[i].off, cases[i].len);
	}
	client_silent(&client);
	client_stop(&client);
}

/* A cached read is never behind a cold one: answers leave in the order in which they are given. */
static void out_of_order(void **state)
{
	(void)state;
	struct client client;
	client_start(&client, false);
	client.later = true;
	for (uint64_t i = 0; i < 100; i++)
		client_request(&client, 0, READ, 1000 + i, i * 4096, 4096);
	assert_int_equal(client.count, 100);
	for (size_t i = 100; i-- > 0;)
		nbd_read_answer(client.reads[i].read, i % 10 == 3 ? ETIMEDOUT : 0);
	for (uint64_t i = 100; i-- > 0;) {
		client_reply(&client, 1000 + i, i % 10 == 3 ? EIO : 0);
		if (i % 10 != 3)
			client_data(&client, i * 4096, 4096);
	}
	client_silent(&client);
	client_stop(&client);
}

static void other_requests(void **state)
{
	(void)state;
	static const struct {
		uint16_t flags, command;
		uint64_t off;
		uint32_t len, errnum;
	} cases[] = {
		{0, FLUSH, 0, 0, 0},
		{0, TRIM, 0, 4096, EPERM},
		{0, WRITE_ZEROES, 0, 4096, EPERM},
		{0, CACHE, 0, 4096, EINVAL},
		{0, 77, 0, 0, EINVAL},
		{0, READ, CLIENT_SIZE, 1, EINVAL},
		{0, READ, CLIENT_SIZE - 1, 2, EINVAL},
		{0, READ, UINT64_MAX, 2, EINVAL},
		{0, READ, 0, 0, EINVAL},
		{0, READ, 0, NBD_READ_MAX + 1, EINVAL},
		{4, READ, 0, 4096, EINVAL},
	};
	struct client client;
	client_start(&client, false);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		client_request(
			&client, cases[i].flags, cases[i].command, i, cases[i].off, cases[i].len);
		client_reply(&client, i, cases[i].errnum);
	}
	/* What a write carries is not taken for requests; a read behind it is answered. */
	uint8_t *data = calloc(1, 300000);
	client_request(&client, 0, WRITE, 50, 0, 300000);
	client_send(&client, data, 300000);
	free(data);
	client_request(&client, 1, READ, 51, 8, 8);
	client_reply(&client, 50, EPERM);
	client_reply(&client, 51, 0);
	client_data(&client, 8, 8);
	client_request(&client, 0, DISC, 0, 0, 0);
	client_silent(&client);
	assert_null(client.connection);
	assert_true(err_clean(&client.failure));
	client_stop(&client);
}

static void garbage(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t len;
		bool eof;
		const char *msg;
	} cases[] = {
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n", 29, false,
			"the client sends no request: magic 0x47455420"},
		{"\x25\x60\x95\x13\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2\0\0\1", 28, false,
			"the client writes 33554433 bytes > max 33554432"},
		{"\x25\x60\x95\x13\0\0", 6, true,
			"the NBD client ended in the middle of a request"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct client client;
		client_start(&client, false);
		client_send(&client, cases[i].bytes, cases[i].len);
		if (cases[i].eof)
			shutdown(client.fd, SHUT_WR);
		client_silent(&client);
		assert_null(client.connection);
		assert_err(&client.failure, ERR_CORRUPT, cases[i].msg);
		client_stop(&client);
	}
}

/* 256 reads wait; the next is taken in when one of them is answered and its reply is out. */
static void bounded_number(void **state)
{
	(void)state;
	struct client client;
	client_start(&client, false);
	client.later = true;
	for (uint64_t i = 0; i < 300; i++)
		client_request(&client, 0, READ, i, 0, 512);
	assert_int_equal(client.count, 256);
	for (size_t i = 0; i < 44; i++) {
		nbd_read_answer(client.reads[i].read, 0);
		client_turn(&client);
		assert_int_equal(client.count, 257 + i);
	}
	for (uint64_t i = 0; i < 44; i++) {
		client_reply(&client, i, 0);
		client_data(&client, 0, 512);
	}
	client_stop(&client);
}

/* The same by bytes, with a client that does not read: replies that are queued count, too. */
static void bounded_bytes(void **state)
{
	(void)state;
	struct client client;
	client_start(&client, false);
	for (uint64_t i = 0; i < 100; i++) {
		uint8_t request[28];
		put_be32(request, 0x25609513);
		put_be32(request + 4, READ);
		put_be64(request + 8, i);
		put_be64(request + 16, 0);
		put_be32(request + 24, CLIENT_SIZE);
		assert_int_equal(write(client.fd, request, sizeof(request)), sizeof(request));
	}
	client.later = true;
	client_turn(&client);
	assert_int_equal(client.count, 7); /* 7 × 8 MiB, with what each costs besides < 64 MiB */
	for (size_t i = 0; i < 7; i++)
		nbd_read_answer(client.reads[i].read, 0);
	client_turn(&client);
	assert_int_equal(client.count, 7);
	client.later = false;
	for (uint64_t i = 0; i < 100; i++) {
		client_reply(&client, i, 0);
		client_data(&client, 0, CLIENT_SIZE);
	}
	client_silent(&client);
	client_stop(&client);
}

static void closed_with_reads(void **state)
{
	(void)state;
	struct client client;
	client_start(&client, false);
	client.later = true;
	client_request(&client, 0, READ, 1, 0, 4096);
	client_request(&client, 0, READ, 2, 0, 4096);
	assert_int_equal(client.count, 2);
	assert_ptr_equal(nbd_read_connection(client.reads[0].read), client.connection);
	shutdown(client.fd, SHUT_RDWR);
	client_turn(&client);
	assert_null(client.connection);
	client_stop(&client);
}

/* A peer that is gone is noticed by the loop, not under the caller's hands. */
static void answer_to_nobody(void **state)
{
	(void)state;
	struct client client;
	client_start(&client, false);
	client.later = true;
	client_request(&client, 0, READ, 1, 0, 4096);
	close(client.fd);
	client.fd = -1;
	nbd_read_answer(client.reads[0].read, 0);
	assert_non_null(client.connection);
	client_turn(&client);
	assert_null(client.connection);
	client_stop(&client);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),
		cmocka_unit_test(out_of_order),
		cmocka_unit_test(other_requests),
		cmocka_unit_test(garbage),
		cmocka_unit_test(bounded_number),
		cmocka_unit_test(bounded_bytes),
		cmocka_unit_test(closed_with_reads),
		cmocka_unit_test(answer_to_nobody),
	};
	return TEST_MAIN(tests);
}
