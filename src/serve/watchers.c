/* SPDX-License-Identifier: MIT */
/*
 * Each watcher pulls: when its last bytes are out and there are events behind its place, some of
 * them are rendered and sent. A comment now and then keeps proxies from cutting the connection, and
 * finds those that are gone.
 */
#include "serve/watchers.h"

#include "base/fd.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#define BATCH 32         /* events that are rendered at a time */
#define QUIET_SECONDS 15 /* then a comment */
#define STALL_TICKS 3    /* of these, in which nothing was taken: it is cut */

struct watcher {
	TAILQ_ENTRY(watcher) entry;
	struct watchers *all;
	int fd; /* -1: not begun */
	struct event *readable, *writable;
	uint64_t after;
	struct buf out;
	size_t sent;      /* of `out` */
	unsigned stalled; /* ticks since it took something, while `out` waits */
};

struct watchers {
	struct event_base *base;
	const struct events *events;
	struct event *clock;
	TAILQ_HEAD(, watcher) list;
	unsigned count;
};

void watcher_free(struct watcher *w)
{
	if (w == NULL)
		return;
	TAILQ_REMOVE(&w->all->list, w, entry);
	w->all->count--;
	if (w->readable != NULL)
		event_free(w->readable);
	if (w->writable != NULL)
		event_free(w->writable);
	fd_close_ptr(&w->fd);
	buf_done(&w->out);
	free(w);
}

/* What comes next, if there is something. */
static int render(struct watcher *w, struct err *err)
{
	const struct events *events = w->all->events;
	uint64_t first = events_first(events, w->after);
	buf_clear(&w->out);
	w->sent = 0;
	for (uint64_t n = first; n <= events->last && n < first + BATCH; n++) {
		if (buf_printf(&w->out, err, "id: %" PRIu64 "\ndata: {\"event\":%" PRIu64 ",%s\n\n",
			    n, n, events_line(events, n) + 1) < 0)
			return -1;
		w->after = n;
	}
	return 0;
}

/* Sends what the socket takes. False when the watcher is gone; it is freed then. */
static bool pump(struct watcher *w)
{
	struct err err = ERR_INIT;
	for (;;) {
		if (w->sent == w->out.len && render(w, &err) < 0)
			break;
		if (w->out.len == 0) {
			event_del(w->writable);
			return true;
		}
		ssize_t n = send(w->fd, w->out.data + w->sent, w->out.len - w->sent, MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			if (event_add(w->writable, NULL) < 0)
				break;
			return true;
		}
		if (n <= 0)
			break;
		w->sent += (size_t)n;
		w->stalled = 0;
	}
	watcher_free(w);
	return false;
}

static void on_writable(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	(void)pump(data);
}

/* A watcher has nothing to say: what it sends is dropped, and its end is its end. */
static void on_readable(evutil_socket_t fd, short what, void *data)
{
	(void)what;
	char drop[512];
	ssize_t n = recv(fd, drop, sizeof(drop), 0);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		watcher_free(data);
}

static void on_clock(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	struct watchers *all = data;
	struct watcher *next;
	for (struct watcher *w = TAILQ_FIRST(&all->list); w != NULL; w = next) {
		struct err err = ERR_INIT;
		next = TAILQ_NEXT(w, entry);
		bool waits = w->sent < w->out.len;
		if (w->fd < 0)
			continue;
		if (waits && ++w->stalled < STALL_TICKS)
			continue;
		if (waits || buf_put_str(&w->out, ":\n\n", &err) < 0)
			watcher_free(w);
		else
			(void)pump(w);
	}
}

int watchers_new(struct event_base *base, const struct events *events, struct watchers **ret,
	struct err *err)
{
	const struct timeval quiet = {.tv_sec = QUIET_SECONDS};
	struct watchers *all = calloc(1, sizeof(*all));
	if (all == NULL)
		return err_oom(err);
	all->base = base;
	all->events = events;
	TAILQ_INIT(&all->list);
	all->clock = event_new(base, -1, EV_PERSIST, on_clock, all);
	if (all->clock == NULL || event_add(all->clock, &quiet) < 0) {
		watchers_free(all);
		return err_oom(err);
	}
	*ret = all;
	return 0;
}

void watchers_end(struct watchers *all)
{
	watchers_tell(all);
	struct watcher *next;
	for (struct watcher *w = TAILQ_FIRST(&all->list); w != NULL; w = next) {
		next = TAILQ_NEXT(w, entry);
		if (w->fd >= 0)
			watcher_free(w);
	}
}

struct watchers *watchers_free(struct watchers *all)
{
	if (all == NULL)
		return NULL;
	for (struct watcher *w; (w = TAILQ_FIRST(&all->list)) != NULL;)
		watcher_free(w);
	if (all->clock != NULL)
		event_free(all->clock);
	free(all);
	return NULL;
}

void watchers_tell(struct watchers *all)
{
	struct watcher *next;
	for (struct watcher *w = TAILQ_FIRST(&all->list); w != NULL; w = next) {
		next = TAILQ_NEXT(w, entry);
		if (w->fd >= 0 && w->sent == w->out.len)
			(void)pump(w);
	}
}

int watcher_new(struct watchers *all, uint64_t after, struct watcher **ret, struct err *err)
{
	if (all->count >= WATCHERS_MAX)
		return err_raise(
			err, ERR_AGAIN, "%d others follow the events already", WATCHERS_MAX);
	struct watcher *w = calloc(1, sizeof(*w));
	if (w == NULL)
		return err_oom(err);
	w->all = all;
	w->fd = -1;
	w->after = after;
	TAILQ_INSERT_TAIL(&all->list, w, entry);
	all->count++;
	*ret = w;
	return 0;
}

void watcher_begin(struct watcher *w, int take_fd)
{
	w->fd = take_fd;
	w->readable = event_new(w->all->base, take_fd, EV_READ | EV_PERSIST, on_readable, w);
	w->writable = event_new(w->all->base, take_fd, EV_WRITE | EV_PERSIST, on_writable, w);
	if (w->readable == NULL || w->writable == NULL || event_add(w->readable, NULL) < 0)
		watcher_free(w);
	else
		(void)pump(w);
}
