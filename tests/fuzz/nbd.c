/* SPDX-License-Identifier: MIT */
/*
 * A client's bytes, behind one that chooses: bit 0, with the handshake; bit 1, reads are answered
 * late and in reverse. No read lies outside the export, and the connection ends once.
 */
#include "target.h"

#include "nbd/server.h"

#include <event2/event.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SIZE ((uint64_t)1 << 20)

struct state {
	struct nbd_connection *connection;
	struct nbd_read *reads[256];
	size_t count;
	bool late, failed;
};

static void on_read(struct nbd_read *read, uint64_t off, uint32_t len, void *data)
{
	struct state *state = data;
	expect(len > 0 && off < SIZE && len <= SIZE - off);
	memset(nbd_read_buffer(read), 1, len);
	if (!state->late) {
		nbd_read_answer(read, (int)(off % 3));
		return;
	}
	expect(state->count < 256);
	state->reads[state->count++] = read;
}

static void on_closed(struct nbd_connection *connection, const struct err *failure, void *data)
{
	struct state *state = data;
	expect(state->connection == connection);
	expect(failure == NULL || failure->msg[0] != '\0');
	state->failed = failure != NULL;
	state->connection = NULL;
	state->count = 0;
}

/* Reads what came back and lets the server go on, until neither has anything to do. */
static void turn(struct event_base *base, int fd)
{
	static char drop[1 << 16];
	for (int i = 0, idle = 0; idle < 2 && i < 1000; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		idle = read(fd, drop, sizeof(drop)) > 0 ? 0 : idle + 1;
	}
}

bool target_run(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct event_base *base = event_base_new();
	struct state state = {.late = size > 0 && (data[0] & 2) != 0};
	const struct nbd_export export = {.name = "system",
		.size = SIZE,
		.block_size = 4096,
		.read = on_read,
		.closed = on_closed,
		.data = &state};
	int fds[2];
	expect(base != NULL && socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	expect(fcntl(fds[1], F_SETFL, O_NONBLOCK) == 0);
	expect(nbd_connection_new(base, fds[0], size > 0 && (data[0] & 1) != 0, &export,
		       &state.connection, &err) == 0);
	for (size_t at = 1; at < size && state.connection != NULL;) {
		ssize_t n = write(fds[1], data + at, size - at);
		at += n > 0 ? (size_t)n : 0;
		turn(base, fds[1]);
	}
	while (state.count > 0) {
		nbd_read_answer(state.reads[--state.count], 0);
		turn(base, fds[1]);
	}
	nbd_connection_free(state.connection);
	expect(state.connection == NULL);
	close(fds[1]);
	event_base_free(base);
	return !state.failed;
}
