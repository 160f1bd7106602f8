/* SPDX-License-Identifier: MIT */
/*
 * The events for who asks: those that were, those that are waited for, or a stream of them as they
 * come. Transfers that run are events, too, at each tenth of their way.
 */
#include "base/path.h"
#include "serve/parts.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_US ((uint64_t)25 * 1000000) /* proxies cut requests that take 60 s */
#define WAITERS_MAX 256                  /* so that others find a place */
#define LOOK_US 1000000

/* The number of the last event that the client has: as a stream's client says it, or in the query.
 */
static uint64_t after(const struct http_request *request)
{
	const char *last = http_request_header(request, "last-event-id");
	if (last == NULL && request->query != NULL && strncmp(request->query, "after=", 6) == 0)
		last = request->query + 6;
	return last != NULL ? strtoull(last, NULL, 10) : 0;
}

/* Somebody else's place may be free later. */
static void refuse(struct http_exchange *x, const struct err *why)
{
	http_exchange_reply_later(x, WAIT_US / 1000000, "%s", why->msg);
}

static void on_handed_over(int take_fd, const void *early, size_t early_len, void *data)
{
	(void)early; /* a watcher has nothing to say */
	(void)early_len;
	watcher_begin(data, take_fd);
}

static void stream(struct origin *o, struct http_exchange *x, struct request *r)
{
	struct err err = ERR_INIT;
	if (watcher_new(o->watchers, after(http_exchange_request(x)), &r->watcher, &err) < 0)
		refuse(x, &err);
	else
		http_exchange_stream(x, WATCHERS_TYPE, on_handed_over, r->watcher);
}

static unsigned waiters(const struct origin *o)
{
	unsigned count = 0;
	const struct request *r;
	TAILQ_FOREACH(r, &o->requests, entry)
		count += r->for_events;
	return count;
}

void news_reply(struct origin *o, struct http_exchange *x)
{
	const struct http_request *request = http_exchange_request(x);
	struct err err = ERR_INIT;
	bool streams = request->method == HTTP_GET && !o->stopping &&
		http_request_list_has(request, "accept", WATCHERS_TYPE);
	unsigned waiting = waiters(o);
	struct request *r = origin_request(o, x);
	if (r == NULL)
		return;
	if (streams) {
		stream(o, x, r);
		return;
	}
	if (waiting >= WAITERS_MAX) {
		err_raise(&err, ERR_AGAIN, "%u others wait for events already", waiting);
		refuse(x, &err);
		return;
	}
	r->for_events = true;
	r->after = after(request);
	r->deadline_us = hub_now_us() + (o->stopping ? 0 : WAIT_US);
	event_active(o->clock, EV_TIMEOUT, 0);
}

static void answer(struct origin *o, struct request *r, uint64_t now_us)
{
	struct err err = ERR_INIT;
	AUTO_BUF text = {0};
	size_t count = 0;
	if (events_since(&o->events, r->after, &text, &count, &err) < 0) {
		r->for_events = false;
		http_exchange_reply_text(r->exchange, 500, "%s", err.msg);
	} else if (count > 0 || now_us >= r->deadline_us) {
		r->for_events = false;
		origin_reply_fresh(r->exchange, &text, "application/x-ndjson");
	}
}

void news_of_transfer(struct origin *o, struct journal_step *step, unsigned *told)
{
	char mac[18];
	unsigned tenth =
		step->total_bytes > 0 ? (unsigned)(10 * step->bytes / step->total_bytes) : 0;
	if (tenth <= *told || step->bytes == step->total_bytes)
		return;
	*told = tenth;
	step->percent = (unsigned)(100 * step->bytes / step->total_bytes);
	if (step->mac == NULL && journal_find_mac(step->client, mac))
		step->mac = mac;
	events_put(&o->events, journal_json(step));
	step->mac = NULL;
}

static void look_at_transfer(struct origin *o, struct request *r)
{
	const char *path = http_exchange_request(r->exchange)->path;
	struct route route = route_parse(path);
	if (route.kind != ROUTE_BOOT || r->toplevel != NULL)
		return;
	struct journal_step step = {
		.step = boot_file_step(route.file),
		.client = http_exchange_peer(r->exchange),
		.subject = path,
	};
	http_exchange_progress(r->exchange, &step.bytes, &step.total_bytes);
	news_of_transfer(o, &step, &r->told);
}

void news_look(struct origin *o)
{
	uint64_t now_us = hub_now_us();
	bool looks = now_us - o->looked_us >= LOOK_US;
	struct request *next;
	if (looks) {
		o->looked_us = now_us;
		loader_tell(o);
	}
	struct request *r;
	TAILQ_FOREACH(r, &o->requests, entry)
		if (looks)
			look_at_transfer(o, r);
	for (r = TAILQ_FIRST(&o->requests); r != NULL; r = next) {
		next = TAILQ_NEXT(r, entry);
		if (r->for_events)
			answer(o, r, now_us);
	}
	watchers_tell(o->watchers);
}
