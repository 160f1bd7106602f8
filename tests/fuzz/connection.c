/* SPDX-License-Identifier: MIT */
/*
 * A client of the HTTP server: behind one byte that chooses, the input is what it sends, in pieces
 * that end with a byte 0xfe; at 0xff it leaves. Whatever it sends, what it gets are whole answers
 * with the bodies that their heads announce, one for each request, and every exchange ends once.
 */
#include "target.h"

#include "base/buf.h"
#include "base/fd.h"
#include "http/answer.h"
#include "http/server.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BODY 3000u
#define ANSWERS 512u
#define PIECE_MAX 4096u
#define PIECE_END 0xfe
#define LEAVES 0xff

/* What the server was asked, in order. */
struct asked {
	bool head; /* without a body */
};

static struct state {
	struct event_base *base;
	struct http_server *server;
	struct sockaddr_un addr;
	struct http_exchange *waiting;
	struct asked asked[ANSWERS];
	unsigned handled, done, asked_len;
	bool late, upgraded;
} s;

static void piece_at(const struct http_body *body, uint64_t off, struct http_piece *ret)
{
	static const uint8_t bytes[BODY] = {1};
	expect(off < body->size);
	*ret = (struct http_piece){.kind = off < 100 ? HTTP_PIECE_MEMORY : HTTP_PIECE_ZERO,
		.len = off < 100 ? 100 - off : body->size - off,
		.data = bytes + off};
}

static void release(struct http_body *body)
{
	(void)body;
}

static const struct http_body_ops body_ops = {piece_at, release};
static struct http_body body = {.ops = &body_ops, .size = BODY, .etag = "\"e\""};

static void on_upgraded(int take_fd, const void *early, size_t early_len, void *data)
{
	(void)data;
	expect(early_len <= HTTP_HEAD_MAX && (early_len == 0 || early != NULL));
	s.upgraded = true;
	close(take_fd);
}

static void answer(struct http_exchange *x)
{
	const struct http_request *request = http_exchange_request(x);
	if (strcmp(request->path, "/u") == 0 && http_exchange_wants(x, "p/1"))
		http_exchange_upgrade(x, "p/1", on_upgraded, NULL);
	else if (strcmp(request->path, "/s") == 0 && request->method == HTTP_GET)
		http_exchange_stream(x, "text/plain", on_upgraded, NULL);
	else if (strcmp(request->path, "/b") == 0)
		http_exchange_reply(x, 200, &body);
	else if (strcmp(request->path, "/r") == 0)
		http_exchange_reply_later(x, 3, "come again");
	else
		http_exchange_reply_text(x, 404, "no '%s'", request->path);
}

static void handle(struct http_exchange *x, void *data)
{
	(void)data;
	s.handled++;
	expect(s.waiting == NULL);
	if (s.late)
		s.waiting = x;
	else
		answer(x);
}

static void done(struct http_exchange *x, const struct http_outcome *outcome, void *data)
{
	(void)data;
	expect(outcome->sent <= outcome->len && s.asked_len < ANSWERS);
	s.asked[s.asked_len++].head = http_exchange_request(x)->method == HTTP_HEAD;
	s.handled -= http_exchange_request(x)->method != HTTP_OTHER;
	s.waiting = NULL;
}

static void start(void)
{
	struct err err = ERR_INIT;
	const struct http_server_config config = {
		.limits = HTTP_LIMITS_DEFAULT, .handle = handle, .done = done};
	s.base = event_base_new();
	s.addr = (struct sockaddr_un){.sun_family = AF_UNIX};
	/* A name in no folder: its first byte is a NUL (unix(7)). */
	snprintf(s.addr.sun_path + 1, sizeof(s.addr.sun_path) - 1, "snowboot-fuzz-%d", getpid());
	expect(s.base != NULL &&
		http_server_new(s.base, (struct sockaddr *)&s.addr, sizeof(s.addr), &config,
			&s.server, &err) == 0);
}

/* Lets the server go on until it has nothing to do, and takes what it sent. */
static void turn(int fd, struct buf *got)
{
	struct err err = ERR_INIT;
	static char bytes[1 << 16];
	for (int idle = 0; idle < 2;) {
		event_base_loop(s.base, EVLOOP_NONBLOCK);
		if (s.waiting != NULL) {
			struct http_exchange *x = s.waiting;
			s.waiting = NULL;
			answer(x);
		}
		ssize_t n = fd >= 0 ? recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) : 0;
		idle = n > 0 ? 0 : idle + 1;
		expect(n <= 0 || buf_put(got, bytes, (size_t)n, &err) == 0);
	}
}

/* The number of whole answers. */
static unsigned check(const struct buf *got)
{
	const char *at = (const char *)got->data;
	size_t left = got->len;
	unsigned count = 0;
	for (; left > 0; count++) {
		struct err err = ERR_INIT;
		AUTO_HTTP_ANSWER_HEAD head = {0};
		size_t len = 0;
		int r = http_answer_parse(at, left, &head, &len, &err);
		expect(r == 1); /* all that is sent is taken */
		at += len;
		left -= len;
		if (head.framing == HTTP_FRAMING_CLOSE || head.answer.status == 101) {
			expect(s.upgraded && left == 0);
			continue;
		}
		/* What was no request is answered, but not told; nothing follows it. */
		bool without = count < s.asked_len && s.asked[count].head;
		expect(count < s.asked_len || !head.keep_alive);
		uint64_t body_len = without ? 0 : head.content_len;
		expect(head.framing == HTTP_FRAMING_LENGTH && body_len <= left);
		at += body_len;
		left -= (size_t)body_len;
	}
	expect(count <= s.asked_len + 1);
	return count;
}

/* True when all that came were requests, each of which was answered. */
bool target_run(const uint8_t *data, size_t size)
{
	AUTO_BUF got = {0};
	if (s.base == NULL)
		start();
	s.asked_len = 0;
	s.late = size > 0 && data[0] & 1;
	s.upgraded = false;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect(fd >= 0 && connect(fd, (struct sockaddr *)&s.addr, sizeof(s.addr)) == 0);
	for (size_t i = 1; i < size && s.asked_len < ANSWERS / 2 && fd >= 0;) {
		size_t len = 0;
		while (i + len < size && len < PIECE_MAX && data[i + len] < PIECE_END)
			len++;
		bool leaves = i + len < size && data[i + len] == LEAVES;
		(void)send(fd, data + i, len, MSG_NOSIGNAL); /* it may be closed already */
		i += len + (len < PIECE_MAX);
		if (leaves)
			fd_close_ptr(&fd);
		turn(fd, &got);
	}
	turn(fd, &got);
	unsigned answers = check(&got);
	fd_close_ptr(&fd);
	turn(fd, &got);
	expect(http_server_clients(s.server) == 0 && s.handled == 0 && s.waiting == NULL);
	return answers > 0 && answers == s.asked_len;
}
