/* SPDX-License-Identifier: MIT */
/*
 * record IMAGE SOCKET: serves a file by NBD on a unix socket, and prints each read as the line
 * "microseconds offset length", until SIGTERM. bench/record-trace has a machine boot from it.
 */
#include "base/fd.h"
#include "nbd/server.h"

#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

struct record {
	int fd;
	uint64_t begun_us;
};

static uint64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void on_read(struct nbd_read *read, uint64_t off, uint32_t len, void *data)
{
	struct record *record = data;
	struct err err = ERR_INIT;
	size_t got = 0;
	if (record->begun_us == 0)
		record->begun_us = now_us();
	printf("%" PRIu64 " %" PRIu64 " %" PRIu32 "\n", now_us() - record->begun_us, off, len);
	int r = fd_pread_full(record->fd, nbd_read_buffer(read), len, off, "the image", &got, &err);
	nbd_read_answer(read, r < 0 || got < len ? 5 /* EIO */ : 0);
}

static void on_closed(struct nbd_connection *connection, const struct err *failure, void *data)
{
	(void)connection;
	(void)failure;
	(void)data;
}

static void on_signal(evutil_socket_t fd, short events, void *data)
{
	(void)fd;
	(void)events;
	event_base_loopbreak(data);
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	struct record record = {.fd = -1};
	struct nbd_listener *listener;
	struct stat st;
	if (argc != 3) {
		fprintf(stderr, "usage: record IMAGE SOCKET\n");
		return 2;
	}
	struct event_base *base = event_base_new();
	struct event *term = base == NULL ? NULL : evsignal_new(base, SIGTERM, on_signal, base);
	if (term == NULL || event_add(term, NULL) < 0)
		return 1;
	if (fd_open(AT_FDCWD, argv[1], O_RDONLY, &record.fd, &err) < 0 ||
		fstat(record.fd, &st) < 0) {
		fprintf(stderr, "record: %s\n", err.msg);
		return 1;
	}
	struct nbd_export export = {.name = "",
		.size = (uint64_t)st.st_size,
		.block_size = 1024,
		.read = on_read,
		.closed = on_closed,
		.data = &record};
	if (nbd_listener_new(base, argv[2], &export, &listener, &err) < 0) {
		fprintf(stderr, "record: %s\n", err.msg);
		return 1;
	}
	event_base_dispatch(base);
	nbd_listener_free(listener);
	return 0;
}
