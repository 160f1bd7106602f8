/* SPDX-License-Identifier: MIT */
#ifndef SWARM_LINK_FIXTURE_H
#define SWARM_LINK_FIXTURE_H

/* One link, whose other side is a socket of the test's own that says and takes what it likes. */

#include "swarm/link.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "say.h"
#include "test.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct fixture {
	struct event_base *base;
	struct link_limits limits;
	struct link *link;
	int fd; /* the other side */
	/* What the link told: "up ", "leave ", "cancel 1 ", "part 2:16384 ", "room ", "down ". */
	char log[SAID_SIZE];
	struct err why;     /* of `down` */
	uint32_t free_at;   /* a cancel with this id frees the link; 0: none */
	uint32_t refuse_at; /* the same: it is refused */
};

static void on_up(struct link *link, void *data)
{
	(void)link;
	struct fixture *f = data;
	say(f->log, "up ");
}

static int on_message(struct link *link, const struct message *message, void *data, struct err *err)
{
	struct fixture *f = data;
	switch ((int)message->type) {
	case MESSAGE_LEAVE:
		say(f->log, "leave ");
		return 0;
	case MESSAGE_PART:
		say(f->log, "part %u:%u ", message->part.id, message->part.len);
		return 0;
	case MESSAGE_CANCEL:
		break;
	default:
		fail_msg("message %d", (int)message->type);
	}
	say(f->log, "cancel %u ", message->cancel.id);
	if (message->cancel.id == f->free_at)
		f->link = link_free(link);
	if (message->cancel.id == f->refuse_at)
		return err_raise(err, ERR_UNTRUSTED, "that is too much");
	return 0;
}

static void on_room(struct link *link, void *data)
{
	(void)link;
	struct fixture *f = data;
	say(f->log, "room ");
}

static void on_down(struct link *link, const struct err *why, void *data)
{
	struct fixture *f = data;
	assert_ptr_equal(link, f->link);
	say(f->log, "down ");
	f->why = *why;
	f->link = link_free(link);
}

static const struct link_ops ops = {on_up, on_message, on_room, on_down};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	(void)signal(SIGPIPE, SIG_IGN); /* as every program does that has links */
	f->base = event_base_new();
	f->fd = -1;
	f->limits.dial_ms = 5000;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	link_free(f->link);
	if (f->fd >= 0)
		close(f->fd);
	event_base_free(f->base);
	free(f);
	return 0;
}

static struct link_params params(struct fixture *f)
{
	return (struct link_params){.base = f->base, .limits = f->limits, .ops = &ops, .data = f};
}

static void turn(struct fixture *f)
{
	struct timeval tv = {.tv_usec = 1000};
	event_base_loopexit(f->base, &tv);
	event_base_dispatch(f->base);
}

static void run_for(struct fixture *f, unsigned ms)
{
	struct timeval tv = {ms / 1000, 1000 * (ms % 1000)};
	event_base_loopexit(f->base, &tv);
	event_base_dispatch(f->base);
}

/* Until the link told all this, and no more for a while; then its log is empty again. */
static void expect(struct fixture *f, const char *log)
{
	for (int i = 0; i < 5000 && strlen(f->log) < strlen(log); i++)
		turn(f);
	for (int i = 0; i < 5; i++)
		turn(f);
	assert_string_equal(f->log, log);
	f->log[0] = '\0';
}

static void expect_down(struct fixture *f, const char *log, enum err_kind kind, const char *msg)
{
	expect(f, log);
	assert_null(f->link);
	assert_err(&f->why, kind, msg);
}

static void put(struct fixture *f, const void *data, size_t len)
{
	assert_int_equal(send(f->fd, data, len, MSG_NOSIGNAL), len);
}

static void add(struct buf *out, const struct message *message)
{
	struct err err = ERR_INIT;
	assert_ok(message_encode(message, out, &err));
}

static void add_cancel(struct buf *out, uint32_t id)
{
	add(out, &(struct message){.type = MESSAGE_CANCEL, .cancel = {.id = id}});
}

/* Takes `len` bytes off the other side while the loop runs. */
static void take(struct fixture *f, void *data, size_t len)
{
	uint8_t *p = data;
	for (int i = 0; i < 5000 && len > 0; i++) {
		ssize_t n = recv(f->fd, p, len, MSG_DONTWAIT);
		if (n > 0) {
			p += n;
			len -= (size_t)n;
			continue;
		}
		turn(f);
	}
	assert_int_equal(len, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
