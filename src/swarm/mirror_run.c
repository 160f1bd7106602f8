/* SPDX-License-Identifier: MIT */
/*
 * A run: one GET whose bytes go to the wants that they belong to, as they come. Chunks overlap by
 * their margins, so a byte may go to two. What callbacks do (cancel, free) is looked at after each.
 */
#include "swarm/mirror_parts.h"

#include "base/log.h"
#include "http/url.h"

#include <inttypes.h>
#include <stdio.h>

#define WHOLE_MAX (4u * 1024 * 1024) /* an object that may come whole from who knows no ranges */
#define DEMAND_FIRST_BYTE_MS 3000
#define SLOW_US 5000000u /* after this a run must have brought */
#define SLOW_RATE 8192u  /* this many bytes a second */
#define MISSING_MAX 16   /* in a row: then the mirror as a whole is stale */

void run_free(struct run *run)
{
	struct mirror *m = run->mirror;
	for (struct want *w; (w = TAILQ_FIRST(&run->wants)) != NULL;) {
		TAILQ_REMOVE(&run->wants, w, entry);
		free(w);
	}
	TAILQ_REMOVE(&m->runs, run, entry);
	if (run->demand)
		m->demands--;
	else
		m->others--;
	free(run);
}

void run_cancel(struct run *run)
{
	http_get_cancel(run->get);
	run_free(run);
}

/* Gives a piece of what came to one want, and ends it with its last byte. */
static void give(struct run *run, struct want *w, const uint8_t *bytes, size_t len)
{
	struct mirror *m = run->mirror;
	uint32_t id = w->id;
	uint64_t end = w->chunk.off + w->chunk.len;
	const uint8_t *from = bytes + (w->next - run->pos);
	uint64_t until = run->pos + len < end ? run->pos + len : end;
	uint32_t size = (uint32_t)(until - w->next);
	w->next = until;
	if (until < end) {
		m->ops.part(id, from, size, m->data);
		return;
	}
	TAILQ_REMOVE(&run->wants, w, entry);
	run->count--;
	free(w);
	mirror_praise(m);
	m->completing = id;
	m->completed = true;
	m->ops.part(id, from, size, m->data);
	if (!m->dead && m->completed)
		m->ops.end(id, MIRROR_OK, m->data);
	m->completed = false;
}

static struct want *next_fed(const struct run *run, size_t len)
{
	struct want *w;
	TAILQ_FOREACH(w, &run->wants, entry)
		if (w->next >= run->pos && w->next < run->pos + len)
			return w;
	return NULL;
}

/* Whether this run still exists: callbacks may have cancelled its last want. */
static bool lives(const struct mirror *m, const struct run *run)
{
	const struct run *r;
	TAILQ_FOREACH(r, &m->runs, entry)
		if (r == run)
			return true;
	return false;
}

static int refuse(struct run *run, unsigned retry_s, struct err *err)
{
	mirror_penalise(run->mirror, retry_s * 1000, err->msg);
	return -1;
}

/* The object ends before the place that was asked for. */
static int refuse_place(struct run *run, struct err *err)
{
	char hex[DIGEST_HEX_SIZE];
	err_raise(err, ERR_CORRUPT, "object '%s' is shorter than it should be",
		digest_hex(&run->object, hex));
	run->misplaced = run->hearsay;
	return run->hearsay ? -1 : refuse(run, 0, err);
}

static int on_head(struct http_get *get, const struct http_answer *a, void *data, struct err *err)
{
	(void)get;
	struct run *run = data;
	char hex[DIGEST_HEX_SIZE];
	digest_hex(&run->object, hex);
	/* S3 says 403 for what is not there to who may not list. */
	if (a->status == 404 || a->status == 410 || a->status == 403) {
		run->missing = true;
		err_raise(err, ERR_NOT_FOUND, "has no object '%s'", hex);
		if (run->hearsay)
			return -1;
		if (run->mirror->missing++ == 0)
			log_warning("origin '%s' has no object '%s'", run->mirror->url, hex);
		if (run->mirror->missing >= MISSING_MAX)
			mirror_penalise(run->mirror, 0, "it has nothing of what is asked for");
		return -1;
	}
	if (a->status == 416)
		return refuse_place(run, err);
	if (a->status != 200 && a->status != 206) {
		err_raise(err, ERR_AGAIN, "answers with status %d", a->status);
		return refuse(run, a->retry_s, err);
	}
	if (a->status == 200 && a->len > WHOLE_MAX) {
		err_raise(err, ERR_UNSUPPORTED, "does not serve ranges");
		return refuse(run, PENALTY_MAX_MS / 1000, err);
	}
	if (a->len != UINT64_MAX && a->off + a->len < run->end)
		return refuse_place(run, err);
	run->pos = a->off;
	run->began_us = mirror_now_us();
	return 0;
}

static int on_body(struct http_get *get, const void *bytes, size_t len, void *data, struct err *err)
{
	(void)get;
	struct run *run = data;
	struct mirror *m = run->mirror;
	uint64_t elapsed = mirror_now_us() - run->began_us;
	run->got += len;
	if (elapsed > SLOW_US && run->got < elapsed / 1000000 * SLOW_RATE) {
		err_raise(err, ERR_AGAIN, "sends no more than %" PRIu64 " bytes a second",
			run->got / (elapsed / 1000000));
		return refuse(run, 0, err);
	}
	mirror_enter(m);
	bool mine = true;
	for (struct want *w; mine && (w = next_fed(run, len)) != NULL;) {
		give(run, w, bytes, len);
		mine = !m->dead && lives(m, run);
	}
	if (mine)
		run->pos += len;
	/* At its end the GET ends by itself; a whole object may go on behind what was wanted. */
	if (mine && TAILQ_EMPTY(&run->wants) && run->pos != run->end) {
		run_cancel(run);
		mirror_kick(m);
	}
	mirror_leave(m);
	return 0;
}

static void on_done(struct http_get *get, const struct err *failure, void *data)
{
	(void)get;
	struct run *run = data;
	struct mirror *m = run->mirror;
	struct wants wants = TAILQ_HEAD_INITIALIZER(wants);
	bool missing = run->missing || run->misplaced;
	enum mirror_end how = missing ? MIRROR_MISSING : MIRROR_FAILED;
	struct err err = ERR_INIT;
	if (failure == NULL && !TAILQ_EMPTY(&run->wants) && run->hearsay) {
		how = MIRROR_MISSING; /* of a length that was not said */
	} else if (failure == NULL && !TAILQ_EMPTY(&run->wants)) {
		err_raise(&err, ERR_CORRUPT, "an object is shorter than it should be");
		mirror_penalise(m, 0, err.msg);
	} else if (failure != NULL && !missing) {
		mirror_penalise(m, 0, failure->msg); /* unless the head was refused */
	}
	TAILQ_CONCAT(&wants, &run->wants, entry);
	run_free(run);
	mirror_kick(m);
	mirror_end_all(m, &wants, how);
}

static const struct http_get_ops get_ops = {on_head, on_body, on_done};

int run_begin(struct run *run, struct err *err)
{
	struct mirror *m = run->mirror;
	char hex[DIGEST_HEX_SIZE], url[HTTP_URL_MAX];
	digest_hex(&run->object, hex);
	snprintf(url, sizeof(url), "%s/v1/objects/%.2s/%s", m->url, hex, hex);
	const struct http_get_params params = {.url = url,
		.off = run->off,
		.len = run->end - run->off,
		.urgent = run->demand,
		.first_byte_ms = run->demand ? DEMAND_FIRST_BYTE_MS : 0};
	return http_client_get(m->client, &params, &get_ops, run, &run->get, err);
}
