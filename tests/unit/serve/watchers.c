/* SPDX-License-Identifier: MIT */
#include "serve/watchers.h"

#include "test.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct fixture {
	struct event_base *base;
	struct events events;
	struct watchers *watchers;
	unsigned put;
};

static void start(struct fixture *f)
{
	struct err err = ERR_INIT;
	*f = (struct fixture){.base = event_base_new()};
	assert_ok(watchers_new(f->base, &f->events, &f->watchers, &err));
}

static void stop(struct fixture *f)
{
	watchers_free(f->watchers);
	events_done(&f->events);
	event_base_free(f->base);
}

static void turn(struct fixture *f)
{
	struct timeval tv = {.tv_usec = 2000};
	event_base_loopexit(f->base, &tv);
	event_base_loop(f->base, EVLOOP_ONCE);
}

/* So many more events, each with a line of that length or a little more. */
static void put(struct fixture *f, unsigned count, int pad)
{
	while (count-- > 0) {
		char *line = malloc((size_t)pad + 64);
		snprintf(line, (size_t)pad + 64, "{\"n\":%u,\"pad\":\"%0*d\"}", ++f->put, pad, 0);
		events_put(&f->events, line);
	}
	watchers_tell(f->watchers);
}

static int begin(struct fixture *f, uint64_t after)
{
	struct err err = ERR_INIT;
	struct watcher *watcher;
	int fds[2];
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	assert_ok(watcher_new(f->watchers, after, &watcher, &err));
	watcher_begin(watcher, fds[1]);
	return fds[0];
}

/* What is there; "" also at the end. */
static const char *hear(struct fixture *f, int fd)
{
	static char text[4096];
	ssize_t n = -1;
	for (int i = 0; i < 50 && n < 0; i++) {
		turn(f);
		n = read(fd, text, sizeof(text) - 1);
	}
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void follows(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	put(&f, 2, 1);
	int fd = begin(&f, 1), all = begin(&f, 99);
	assert_string_equal(hear(&f, fd), "id: 2\ndata: {\"event\":2,\"n\":2,\"pad\":\"0\"}\n\n");
	assert_string_equal(hear(&f, all),
		"id: 1\ndata: {\"event\":1,\"n\":1,\"pad\":\"0\"}\n\n"
		"id: 2\ndata: {\"event\":2,\"n\":2,\"pad\":\"0\"}\n\n");
	put(&f, 1, 1);
	assert_string_equal(hear(&f, fd), "id: 3\ndata: {\"event\":3,\"n\":3,\"pad\":\"0\"}\n\n");
	/* What it says is nobody's business; the end comes with what was still to be told. */
	assert_int_equal(write(fd, "x", 1), 1);
	turn(&f);
	put(&f, 1, 1);
	watchers_end(f.watchers);
	assert_string_equal(hear(&f, fd), "id: 4\ndata: {\"event\":4,\"n\":4,\"pad\":\"0\"}\n\n");
	char byte;
	assert_int_equal(read(fd, &byte, 1), 0);
	close(fd);
	close(all);
	stop(&f);
}

/* One that does not read for a while gets what is kept, in order, and nothing twice. */
static void reads_slowly(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	int fd = begin(&f, 0);
	put(&f, EVENTS_KEPT * 2, 500);
	static char text[8 << 20];
	size_t len = 0;
	for (int idle = 0; idle < 20;) {
		ssize_t n = read(fd, text + len, sizeof(text) - 1 - len);
		assert_true(n > 0 || errno == EAGAIN);
		len += n > 0 ? (size_t)n : 0;
		idle = n > 0 ? 0 : idle + 1;
		turn(&f);
	}
	text[len] = '\0';
	unsigned last = 0, count = 0, number;
	for (const char *p = text; (p = strstr(p, "id: ")) != NULL; p += 4, count++) {
		assert_int_equal(sscanf(p, "id: %u\ndata: {\"event\":%*u,", &number), 1);
		assert_true(number > last);
		last = number;
	}
	assert_int_equal(last, EVENTS_KEPT * 2);
	assert_true(count >= EVENTS_KEPT && count < EVENTS_KEPT * 2);
	close(fd);
	stop(&f);
}

static void places(void **state)
{
	(void)state;
	struct fixture f;
	struct err err = ERR_INIT;
	struct watcher *watcher = NULL;
	int fds[WATCHERS_MAX];
	start(&f);
	for (size_t i = 0; i < WATCHERS_MAX; i++)
		fds[i] = begin(&f, 0);
	assert_int_equal(watcher_new(f.watchers, 0, &watcher, &err), -1);
	assert_err(&err, ERR_AGAIN, "64 others follow the events already");
	close(fds[0]); /* seen at once: its place is free */
	turn(&f);
	turn(&f);
	assert_ok(watcher_new(f.watchers, 0, &watcher, &err));
	watcher_free(watcher);
	for (size_t i = 1; i < WATCHERS_MAX; i++)
		close(fds[i]);
	stop(&f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows),
		cmocka_unit_test(reads_slowly),
		cmocka_unit_test(places),
	};
	return TEST_MAIN(tests);
}
