/* SPDX-License-Identifier: MIT */
#ifndef TESTS_NBD_CLIENT_H
#define TESTS_NBD_CLIENT_H

/* A connection under test: the server's end on a loop, the client's end a non-blocking socket. */

#include "nbd/server.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "test.h"

#include <event2/event.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENT_SIZE ((uint64_t)8 << 20) /* bytes of the export */

struct client {
	struct event_base *base;
	struct nbd_export export;
	struct nbd_connection *connection; /* NULL once it ended */
	int fd;
	bool later; /* reads wait in `reads` instead of being answered at once */
	struct {
		struct nbd_read *read;
		uint64_t off;
		uint32_t len;
	} reads[512];
	size_t count;
	unsigned ended;
	struct err failure; /* of the end */
};

/* What lies at an offset: every 8 bytes differ. */
static inline void client_pattern(uint8_t *data, uint64_t off, size_t len)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(((off + i) / 8 * 0x9e3779b97f4a7c15u) >> ((off + i) % 8 * 8));
}

static inline void client_read(struct nbd_read *read, uint64_t off, uint32_t len, void *data)
{
	struct client *client = data;
	client_pattern(nbd_read_buffer(read), off, len);
	if (!client->later) {
		nbd_read_answer(read, 0);
		return;
	}
	assert_true(client->count < ARRAY_LEN(client->reads));
	client->reads[client->count].read = read;
	client->reads[client->count].off = off;
	client->reads[client->count++].len = len;
}

static inline void client_closed(
	struct nbd_connection *connection, const struct err *failure, void *data)
{
	struct client *client = data;
	assert_ptr_equal(connection, client->connection);
	client->connection = NULL;
	client->ended++;
	client->count = 0;
	if (failure != NULL)
		client->failure = *failure;
}

static inline void client_start(struct client *client, bool handshake)
{
	struct err err = ERR_INIT;
	int fds[2];
	*client = (struct client){.base = event_base_new(),
		.export = {.name = "system",
			.size = CLIENT_SIZE,
			.block_size = 4096,
			.read = client_read,
			.closed = client_closed,
			.data = client}};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	client->fd = fds[1];
	assert_ok(nbd_connection_new(
		client->base, fds[0], handshake, &client->export, &client->connection, &err));
}

static inline void client_stop(struct client *client)
{
	client->connection = nbd_connection_free(client->connection);
	assert_int_equal(client->ended, 1);
	close(client->fd);
	event_base_free(client->base);
}

/* Lets the server work until nothing is to be done any more. */
static inline void client_turn(struct client *client)
{
	for (int i = 0; i < 20; i++)
		event_base_loop(client->base, EVLOOP_NONBLOCK);
}

static inline void client_send(struct client *client, const void *data, size_t len)
{
	const uint8_t *p = data;
	while (len > 0) {
		ssize_t n = write(client->fd, p, len);
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (client->connection == NULL) {
			return;
		}
		client_turn(client);
	}
}

/* Exactly `len` bytes must come. */
static inline void client_receive(struct client *client, void *data, size_t len)
{
	size_t got = 0;
	for (int turns = 0; got < len && turns < 10000; turns++) {
		client_turn(client);
		ssize_t n = read(client->fd, (uint8_t *)data + got, len - got);
		assert_int_not_equal(n, 0);
		got += n > 0 ? (size_t)n : 0;
	}
	assert_int_equal(got, len);
}

/* Nothing more comes: the connection ended, or it waits. */
static inline void client_silent(struct client *client)
{
	uint8_t byte;
	client_turn(client);
	assert_true(read(client->fd, &byte, 1) <= 0);
}

static inline void client_request(struct client *client, uint16_t flags, uint16_t command,
	uint64_t cookie, uint64_t off, uint32_t len)
{
	uint8_t data[28];
	put_be32(data, 0x25609513);
	put_be16(data + 4, flags);
	put_be16(data + 6, command);
	put_be64(data + 8, cookie);
	put_be64(data + 16, off);
	put_be32(data + 24, len);
	client_send(client, data, sizeof(data));
}

/* A reply comes, with that cookie and error. */
static inline void client_reply(struct client *client, uint64_t cookie, uint32_t errnum)
{
	uint8_t data[16];
	client_receive(client, data, sizeof(data));
	assert_int_equal(get_be32(data), 0x67446698);
	assert_int_equal(get_be32(data + 4), errnum);
	assert_int_equal(get_be64(data + 8), cookie);
}

/* The data of a read comes, and is right. */
static inline void client_data(struct client *client, uint64_t off, size_t len)
{
	uint8_t *got = malloc(len), *want = malloc(len);
	client_receive(client, got, len);
	client_pattern(want, off, len);
	assert_memory_equal(got, want, len);
	free(got);
	free(want);
}

#endif
