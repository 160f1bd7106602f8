/* SPDX-License-Identifier: MIT */
/*
 * Wants wait in the order they came until the loop comes round, so that what is asked for in one go
 * can be joined. A run is one GET and the wants that it serves; it never grows after it began. What
 * a mirror's failures mean for the choice between origins is decided elsewhere: here is only known
 * how long this one is better left alone.
 */
#include "swarm/mirror_parts.h"

#include "base/log.h"
#include "http/url.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define RUN_MAX (1024u * 1024)   /* bytes of one request for prefetch */
#define DEMAND_MAX (384u * 1024) /* bytes of one for a demand and what is wanted behind it */
#define RUN_WANTS_MAX 64
#define GAP_MAX 4096u  /* bytes that are cheaper to read over than to ask again behind */
#define RUNS_MAX 4     /* at once, without those for demands */
#define DEMANDS_MAX 12 /* runs for demands at once: small objects cost a round trip each */
#define REFUSE_MS 50   /* until a want ends while the mirror is passed over */

uint64_t mirror_now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

unsigned mirror_penalty_ms(const struct mirror *m)
{
	return penalty_left_ms(&m->penalty, mirror_now_us());
}

void mirror_kick(struct mirror *m)
{
	if (!m->dead)
		event_active(m->kick, EV_TIMEOUT, 0);
}

static void wants_free(struct wants *wants)
{
	for (struct want *w; (w = TAILQ_FIRST(wants)) != NULL;) {
		TAILQ_REMOVE(wants, w, entry);
		free(w);
	}
}

static void release(struct mirror *m)
{
	event_free(m->kick);
	free(m->url);
	free(m);
}

void mirror_enter(struct mirror *m)
{
	m->calls++;
}

void mirror_leave(struct mirror *m)
{
	if (--m->calls == 0 && m->dead)
		release(m);
}

void mirror_end_all(struct mirror *m, struct wants *wants, enum mirror_end how)
{
	mirror_enter(m);
	/* Another list: what comes in meanwhile is not part of it. */
	TAILQ_CONCAT(&m->ending, wants, entry);
	for (struct want *w; (w = TAILQ_FIRST(&m->ending)) != NULL;) {
		uint32_t id = w->id;
		TAILQ_REMOVE(&m->ending, w, entry);
		free(w);
		m->ops.end(id, how, m->data);
	}
	mirror_leave(m);
}

void mirror_penalise(struct mirror *m, unsigned asked_ms, const char *why)
{
	unsigned ms = penalty_add(&m->penalty, mirror_now_us(), asked_ms);
	if (ms > 0)
		log_warning("origin '%s': %s, passing it over for %u.%u s", m->url, why, ms / 1000,
			ms / 100 % 10);
}

void mirror_praise(struct mirror *m)
{
	m->missing = 0;
	if (mirror_penalty_ms(m) > 0)
		return; /* by a request that was under way when it began */
	if (m->penalty.failures > 0)
		log_info("origin '%s' serves again", m->url);
	m->penalty = (struct penalty){0};
}

/* The want to begin with: the oldest of the highest priority. */
static struct want *seed(const struct mirror *m)
{
	struct want *best = NULL, *w;
	TAILQ_FOREACH(w, &m->waiting, entry)
		if (best == NULL || w->priority > best->priority)
			best = w;
	return best;
}

/* Whether the run takes this want in: it touches what the run has, and delays no demand by it. */
static bool joins(const struct run *run, const struct want *w)
{
	const struct chunk *c = &w->chunk;
	uint64_t end = c->off + c->len;
	uint64_t from = c->off < run->off ? c->off : run->off;
	uint64_t until = end > run->end ? end : run->end;
	if (!digest_equal(&c->object, &run->object) || run->count == RUN_WANTS_MAX ||
		c->is_hearsay != run->hearsay)
		return false;
	if (c->off > run->end + GAP_MAX || end + GAP_MAX < run->off)
		return false;
	if (!run->demand)
		return until - from <= RUN_MAX;
	return until - from <= DEMAND_MAX && (c->off >= run->off || w->priority == SWARM_DEMAND);
}

static void take(struct mirror *m, struct run *run, struct want *w)
{
	uint64_t end = w->chunk.off + w->chunk.len;
	TAILQ_REMOVE(&m->waiting, w, entry);
	TAILQ_INSERT_TAIL(&run->wants, w, entry);
	run->count++;
	run->off = w->chunk.off < run->off ? w->chunk.off : run->off;
	run->end = end > run->end ? end : run->end;
}

/* Joins what belongs together: each want that comes in may be what the next one touches. */
static void gather(struct mirror *m, struct run *run)
{
	bool grown = true;
	while (grown) {
		struct want *w, *next;
		grown = false;
		for (w = TAILQ_FIRST(&m->waiting); w != NULL; w = next) {
			next = TAILQ_NEXT(w, entry);
			if (joins(run, w)) {
				take(m, run, w);
				grown = true;
			}
		}
	}
}

/* Begins a run with the want that is due: false without memory. */
static bool begin_run(struct mirror *m, struct want *w)
{
	struct err err = ERR_INIT;
	struct run *run = calloc(1, sizeof(*run));
	if (run == NULL)
		return false;
	run->mirror = m;
	run->object = w->chunk.object;
	run->off = w->chunk.off;
	run->end = run->off;
	run->demand = w->priority == SWARM_DEMAND;
	run->hearsay = w->chunk.is_hearsay;
	run->began_us = mirror_now_us();
	TAILQ_INIT(&run->wants);
	take(m, run, w);
	gather(m, run);
	TAILQ_INSERT_TAIL(&m->runs, run, entry);
	if (run->demand)
		m->demands++;
	else
		m->others++;
	if (run_begin(run, &err) == 0)
		return true;
	TAILQ_CONCAT(&m->waiting, &run->wants, entry);
	run_free(run);
	return false;
}

/* Whether a run for this want may begin now. After a failure one at a time goes ahead. */
static bool has_place(const struct mirror *m, const struct want *w)
{
	if (m->penalty.failures > 0)
		return m->demands + m->others == 0;
	if (w->priority == SWARM_DEMAND)
		return m->demands < DEMANDS_MAX;
	return m->others < (m->demands > 0 ? 1 : RUNS_MAX);
}

static void on_kick(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	struct mirror *m = data;
	if (mirror_penalty_ms(m) > 0) {
		mirror_end_all(m, &m->waiting, MIRROR_FAILED);
		return;
	}
	for (struct want *w; (w = seed(m)) != NULL && has_place(m, w);) {
		if (!begin_run(m, w)) {
			struct timeval tv = {.tv_sec = 1};
			event_add(m->kick, &tv);
			return;
		}
	}
}

int mirror_new(struct event_base *base, struct http_client *client, const char *url,
	const struct mirror_ops *ops, void *data, struct mirror **ret, struct err *err)
{
	AUTO_HTTP_URL parsed = {0};
	if (http_url_parse(url, &parsed, err) < 0)
		return -1;
	size_t len = strlen(url);
	while (url[len - 1] == '/')
		len--;
	if (len > HTTP_URL_MAX - 100 || strpbrk(url, "?#") != NULL)
		return err_raise(err, ERR_USAGE, "'%.100s' cannot be an origin: %s", url,
			strpbrk(url, "?#") != NULL ? "it has a query" : "it is too long");
	struct mirror *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return err_oom(err);
	m->client = client;
	m->ops = *ops;
	m->data = data;
	TAILQ_INIT(&m->waiting);
	TAILQ_INIT(&m->ending);
	TAILQ_INIT(&m->runs);
	m->url = strndup(url, len);
	m->kick = event_new(base, -1, 0, on_kick, m);
	if (m->url == NULL || m->kick == NULL) {
		if (m->kick != NULL)
			event_free(m->kick);
		free(m->url);
		free(m);
		return err_oom(err);
	}
	*ret = m;
	return 0;
}

struct mirror *mirror_free(struct mirror *m)
{
	if (m == NULL)
		return NULL;
	for (struct run *run; (run = TAILQ_FIRST(&m->runs)) != NULL;)
		run_cancel(run);
	wants_free(&m->waiting);
	wants_free(&m->ending);
	event_del(m->kick);
	m->dead = true;
	if (m->calls == 0)
		release(m);
	return NULL;
}

int mirror_get(struct mirror *m, uint32_t id, const struct chunk *chunk,
	enum swarm_priority priority, struct err *err)
{
	struct want *w = calloc(1, sizeof(*w));
	if (w == NULL)
		return err_oom(err);
	w->id = id;
	w->chunk = *chunk;
	w->priority = priority;
	w->next = chunk->off;
	TAILQ_INSERT_TAIL(&m->waiting, w, entry);
	if (mirror_penalty_ms(m) > 0) {
		struct timeval tv = {.tv_usec = REFUSE_MS * 1000};
		event_add(m->kick, &tv);
	} else {
		mirror_kick(m);
	}
	return 0;
}

static bool drop(struct wants *wants, uint32_t id)
{
	struct want *w;
	TAILQ_FOREACH(w, wants, entry)
		if (w->id == id) {
			TAILQ_REMOVE(wants, w, entry);
			free(w);
			return true;
		}
	return false;
}

void mirror_cancel(struct mirror *m, uint32_t id)
{
	if (m->completed && m->completing == id)
		m->completed = false;
	if (drop(&m->waiting, id) || drop(&m->ending, id))
		return;
	struct run *run;
	TAILQ_FOREACH(run, &m->runs, entry)
		if (drop(&run->wants, id)) {
			if (--run->count == 0) {
				http_get_cancel(run->get);
				run_free(run);
				mirror_kick(m);
			}
			return;
		}
}

void mirror_distrust(struct mirror *m, const struct chunk *chunk)
{
	char hex[DIGEST_HEX_SIZE], why[256];
	snprintf(why, sizeof(why), "bytes %" PRIu64 "-%" PRIu64 " of object '%s' are wrong",
		chunk->off, chunk->off + chunk->len - 1, digest_hex(&chunk->object, hex));
	/* Praise does not wash this off: who lies in between is left alone ever longer. */
	unsigned shift = m->lies < 3 ? m->lies : 3;
	m->lies++;
	mirror_penalise(m, (PENALTY_MAX_MS / 8) << shift, why);
}
