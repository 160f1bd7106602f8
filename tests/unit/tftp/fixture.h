/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_TFTP_FIXTURE_H
#define TESTS_UNIT_TFTP_FIXTURE_H

/* A server on loopback and clients of it: the loop runs here, clients are non-blocking sockets. */

#include "tftp/server.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "http/pacer.h"
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FILE_LEN 100000u

struct fixture {
	struct event_base *base;
	struct tftp_server *server;
	struct pacer *pacer;
	struct sockaddr_in addr;
	uint8_t file[FILE_LEN];
	struct tftp_exchange *parked; /* a request for "later" */
	unsigned handled, done;
	struct tftp_outcome last;
	char failure[256], name[64];
	bool drained;
};

static inline void handle(struct tftp_exchange *x, void *data)
{
	struct fixture *f = data;
	struct err err = ERR_INIT;
	const char *path = tftp_exchange_path(x);
	f->handled++;
	assert_string_equal(tftp_exchange_peer(x), "127.0.0.1");
	assert_string_equal(tftp_exchange_own(x), "127.0.0.1");
	if (strcmp(path, "file") == 0)
		tftp_exchange_reply(x, http_body_copy(f->file, FILE_LEN, NULL, &err));
	else if (strcmp(path, "small") == 0)
		tftp_exchange_reply(x, http_body_copy("small", 5, NULL, &err));
	else if (strcmp(path, "later") == 0)
		f->parked = x;
	else
		tftp_exchange_refuse(x, TFTP_CODE_NOT_FOUND, "there is no '%s'", path);
}

static inline void on_done(struct tftp_exchange *x, const struct tftp_outcome *outcome, void *data)
{
	struct fixture *f = data;
	f->done++;
	f->last = *outcome;
	snprintf(f->failure, sizeof(f->failure), "%s",
		outcome->failure != NULL ? outcome->failure : "");
	snprintf(f->name, sizeof(f->name), "%.60s", tftp_exchange_request(x)->name);
	if (x == f->parked)
		f->parked = NULL;
}

static inline struct fixture *open_with(const struct tftp_limits *limits, uint64_t rate)
{
	struct err err = ERR_INIT;
	struct fixture *f = calloc(1, sizeof(*f));
	for (size_t i = 0; i < FILE_LEN; i++)
		f->file[i] = (uint8_t)(i * 31 + i / 512);
	f->base = event_base_new();
	if (rate > 0)
		assert_ok(pacer_new(f->base, rate, &f->pacer, &err));
	f->addr = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct tftp_server_config config = {
		.limits = *limits, .handle = handle, .done = on_done, .data = f, .pacer = f->pacer};
	assert_ok(tftp_server_new(
		f->base, (struct sockaddr *)&f->addr, sizeof(f->addr), &config, &f->server, &err));
	f->addr.sin_port = htons(tftp_server_port(f->server));
	return f;
}

static inline struct fixture *open_fixture(void)
{
	return open_with(&TFTP_LIMITS_DEFAULT, 0);
}

static inline void close_fixture(struct fixture *f)
{
	tftp_server_free(f->server);
	pacer_free(f->pacer);
	event_base_free(f->base);
	free(f);
}

/* Lets the server work for a moment. */
static inline void turn(struct fixture *f)
{
	const struct timespec moment = {.tv_nsec = 200000};
	event_base_loop(f->base, EVLOOP_NONBLOCK);
	nanosleep(&moment, NULL);
}

static inline int client(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const struct sockaddr_in any = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (const struct sockaddr *)&any, sizeof(any)), 0);
	return fd;
}

#define ASK(f, fd, text) ask(f, fd, text, sizeof(text))
static inline void ask(struct fixture *f, int fd, const char *packet, size_t len)
{
	assert_int_equal(
		sendto(fd, packet, len, 0, (struct sockaddr *)&f->addr, sizeof(f->addr)), len);
}

/* The next packet that comes within a second, or 0; answers then go to who sent it. */
static inline size_t hear(struct fixture *f, int fd, uint8_t packet[2048])
{
	for (int i = 0; i < 2000; i++) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, packet, 2048, 0, (struct sockaddr *)&from, &len);
		if (n >= 0) {
			assert_int_not_equal(from.sin_port, f->addr.sin_port);
			assert_int_equal(connect(fd, (struct sockaddr *)&from, sizeof(from)), 0);
			return (size_t)n;
		}
		turn(f);
	}
	return 0;
}

/* A new client, which asked and heard a first block of so many bytes, not acknowledged yet. */
static inline int begin(struct fixture *f, const char *name, size_t len)
{
	char request[64] = "\0\1";
	uint8_t packet[2048];
	int fd = client(), n = snprintf(request + 2, sizeof(request) - 2, "%s%coctet", name, 0);
	ask(f, fd, request, 2 + (size_t)n + 1);
	assert_int_equal(hear(f, fd, packet), 4 + len);
	return fd;
}

static inline void ack(int fd, unsigned number)
{
	const uint8_t packet[] = {0, 4, (uint8_t)(number >> 8), (uint8_t)number};
	assert_int_equal(send(fd, packet, sizeof(packet), 0), sizeof(packet));
}

static inline void wait_done(struct fixture *f, unsigned count)
{
	for (int i = 0; i < 5000 && f->done < count; i++)
		turn(f);
	assert_int_equal(f->done, count);
}

/* Takes blocks of `size` until the last one; acknowledges each. */
static inline void take_file(
	struct fixture *f, int fd, size_t size, const uint8_t *want, size_t want_len)
{
	uint8_t packet[2048];
	size_t got = 0, len;
	for (unsigned number = 1;; number++) {
		len = hear(f, fd, packet);
		assert_true(len >= 4);
		assert_int_equal(packet[1], TFTP_DATA);
		assert_int_equal(packet[2] << 8 | packet[3], number);
		assert_true(got + len - 4 <= want_len);
		assert_memory_equal(packet + 4, want + got, len - 4);
		got += len - 4;
		ack(fd, number);
		if (len - 4 < size)
			break;
	}
	assert_int_equal(got, want_len);
}

static inline void assert_error(struct fixture *f, int fd, unsigned code, const char *text)
{
	uint8_t packet[2048];
	size_t len = hear(f, fd, packet);
	assert_int_equal(len, 4 + strlen(text) + 1);
	assert_int_equal(packet[1], TFTP_ERROR);
	assert_int_equal(packet[3], code);
	assert_string_equal((const char *)packet + 4, text);
}

#endif
