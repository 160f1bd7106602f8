/* SPDX-License-Identifier: MIT */
/*
 * One fetch per chunk, whoever wants it: it is idle until its turn comes, then active until the
 * chunk is here, and rests for a while when all sources failed. Demands go before all else, and
 * what nobody waits for stays within a window, so that it never fills the line. How a source is
 * asked is in engine_attempt.c.
 */
#include "swarm/engine_parts.h"

#define WINDOW_MIN (512u * 1024) /* bytes of prefetch under way */
#define WINDOW_MAX (8u * 1024 * 1024)
#define WINDOW_DEMAND (128u * 1024) /* the same while demands wait */
#define WINDOW_MS 200               /* at the rate of late */
#define DEMANDS_MAX 512             /* of our own under way; more wait */
#define SHUFFLE 32                  /* prefetch is picked at random from so many */
#define RETRY_US 50000              /* after all sources failed; doubles */
#define RETRY_MAX_US 2000000

static struct fetch **fetch_head(struct engine *engine, const struct digest *chunk)
{
	unsigned hash = (unsigned)chunk->bytes[2] << 8 | chunk->bytes[3];
	return &engine->fetch_heads[hash % FETCH_HEADS];
}

struct fetch *engine_fetch_find(struct engine *engine, const struct digest *chunk)
{
	struct fetch *fetch = *fetch_head(engine, chunk);
	while (fetch != NULL && !digest_equal(&fetch->chunk.digest, chunk))
		fetch = fetch->hash_next;
	return fetch;
}

static void list_remove(struct fetch *fetch)
{
	struct engine *engine = fetch->engine;
	enum swarm_priority p = fetch->priority;
	struct fetch **first = fetch->active ? &engine->active : &engine->idle[p];
	struct fetch **last = fetch->active ? &engine->active_last : &engine->idle_last[p];
	*(fetch->prev != NULL ? &fetch->prev->next : first) = fetch->next;
	*(fetch->next != NULL ? &fetch->next->prev : last) = fetch->prev;
	if (fetch->active)
		engine->active_len[p]--;
	else
		engine->idle_len[p]--;
	if (fetch->active && p != SWARM_DEMAND)
		engine->active_bytes -= fetch->chunk.len;
}

/* To the front of the idle ones. */
static void list_prepend(struct fetch *fetch)
{
	struct engine *engine = fetch->engine;
	enum swarm_priority p = fetch->priority;
	fetch->prev = NULL;
	fetch->next = engine->idle[p];
	*(fetch->next != NULL ? &fetch->next->prev : &engine->idle_last[p]) = fetch;
	engine->idle[p] = fetch;
	engine->idle_len[p]++;
}

void engine_fetch_hurry(struct fetch *fetch)
{
	if (fetch->active || fetch->prev == NULL)
		return;
	list_remove(fetch);
	list_prepend(fetch);
}

static void list_append(struct fetch *fetch, bool active)
{
	struct engine *engine = fetch->engine;
	enum swarm_priority p = fetch->priority;
	fetch->active = active;
	struct fetch **first = active ? &engine->active : &engine->idle[p];
	struct fetch **last = active ? &engine->active_last : &engine->idle_last[p];
	fetch->next = NULL;
	fetch->prev = *last;
	*(*last != NULL ? &(*last)->next : first) = fetch;
	*last = fetch;
	if (active)
		engine->active_len[p]++;
	else
		engine->idle_len[p]++;
	if (active && p != SWARM_DEMAND)
		engine->active_bytes += fetch->chunk.len;
}

struct fetch *engine_fetch_get(
	struct engine *engine, const struct chunk *chunk, enum swarm_priority priority)
{
	struct fetch *fetch = engine_fetch_find(engine, &chunk->digest);
	engine->dirty = true;
	if (fetch != NULL) {
		engine_fetch_raise(fetch, priority);
		return fetch;
	}
	fetch = calloc(1, sizeof(*fetch));
	if (fetch == NULL)
		return NULL;
	fetch->engine = engine;
	fetch->chunk = *chunk;
	fetch->priority = priority;
	fetch->wanted_us = engine->now_us;
	struct fetch **head = fetch_head(engine, &chunk->digest);
	fetch->hash_next = *head;
	*head = fetch;
	list_append(fetch, false);
	return fetch;
}

/*
 * A peer that asked for it before us may have lied. With another length it would never come, and
 * what is private is shared with nobody: those who ask go empty, and it begins anew. Where else it
 * lies is only corrected, since it may lie in two objects; and it rests no longer for failures that
 * the wrong place may have brought.
 */
struct fetch *engine_fetch_own(
	struct engine *engine, const struct chunk *chunk, enum swarm_priority priority)
{
	struct fetch *fetch = engine_fetch_find(engine, &chunk->digest);
	if (fetch == NULL || !fetch->chunk.is_hearsay)
		return engine_fetch_get(engine, chunk, priority);
	if (fetch->chunk.len != chunk->len || chunk->is_private) {
		engine_gives_refuse(fetch);
	} else {
		fetch->chunk = *chunk;
		fetch->rounds = 0;
		if (fetch->retry_us > engine->now_us)
			fetch->retry_us = engine->now_us;
	}
	return engine_fetch_get(engine, chunk, priority);
}

void engine_fetch_raise(struct fetch *fetch, enum swarm_priority priority)
{
	if (priority <= fetch->priority)
		return;
	bool active = fetch->active;
	list_remove(fetch);
	fetch->priority = priority;
	fetch->wanted_us = fetch->engine->now_us;
	list_append(fetch, active);
	if (fetch->gives != NULL)
		engine_fetch_hurry(fetch);
	if (fetch->lead != NULL)
		engine_attempt_raise(fetch->lead);
	engine_due(fetch->engine, fetch->engine->now_us + HEDGE_MIN_US);
	fetch->engine->dirty = true;
}

void engine_fetch_free(struct fetch *fetch)
{
	struct engine *engine = fetch->engine;
	while (fetch->lead != NULL)
		engine_attempt_cancel(fetch->lead);
	engine->resting -= fetch->retry_us != 0;
	list_remove(fetch);
	struct fetch **p = fetch_head(engine, &fetch->chunk.digest);
	while (*p != fetch)
		p = &(*p)->hash_next;
	*p = fetch->hash_next;
	free(fetch);
	engine->dirty = true;
}

void engine_fetch_release(struct fetch *fetch)
{
	if (fetch->wants == NULL && fetch->gives == NULL)
		engine_fetch_free(fetch);
}

/* All sources failed: the next round begins after a while. */
void engine_fetch_rest(struct fetch *fetch)
{
	struct engine *engine = fetch->engine;
	uint64_t wait = RETRY_US << (fetch->rounds < 6 ? fetch->rounds : 6);
	if (wait > RETRY_MAX_US)
		wait = RETRY_MAX_US;
	wait += engine_random(engine) % (wait / 2);
	fetch->rounds++;
	fetch->tried_len = fetch->asides = fetch->forces = 0;
	fetch->named = fetch->namer = NULL;
	list_remove(fetch);
	list_append(fetch, false);
	engine->resting += fetch->retry_us == 0;
	fetch->retry_us = engine->now_us + wait;
	engine_due(engine, fetch->retry_us);
}

static void start(struct fetch *fetch)
{
	struct engine *engine = fetch->engine;
	engine->resting -= fetch->retry_us != 0;
	fetch->retry_us = 0;
	list_remove(fetch);
	list_append(fetch, true);
	if (engine->hedge_tokens < 20 * HEDGE_COST)
		engine->hedge_tokens += HEDGE_GAIN;
	if (!engine_ask_next(fetch))
		engine_fetch_rest(fetch);
}

/*
 * The next idle demand. What others wait for as well is started in any case, and stands in front:
 * were it to wait until our own demands are through, and those for homes in the same state, all
 * would wait for each other.
 */
static struct fetch *idle_demand(struct engine *engine)
{
	bool full = engine->active_len[SWARM_DEMAND] >= DEMANDS_MAX;
	for (struct fetch *f = engine->idle[SWARM_DEMAND]; f != NULL; f = f->next) {
		if (f->retry_us > engine->now_us)
			continue;
		return full && f->gives == NULL ? NULL : f;
	}
	return NULL;
}

/*
 * The next idle one of another priority that may be started: what others wait for, within twice the
 * window, since we are its home; else shuffled, so that not all nodes want the same chunk at the
 * same time. NULL: nothing, or the window is full.
 */
static struct fetch *idle_next(struct engine *engine, int p, uint64_t window)
{
	if (engine->active_bytes >= 2 * window)
		return NULL;
	bool full = engine->active_bytes >= window;
	struct fetch *found = NULL;
	unsigned count = 0;
	for (struct fetch *f = engine->idle[p]; f != NULL && count < SHUFFLE; f = f->next) {
		if (f->retry_us > engine->now_us)
			continue;
		count++;
		if (f->gives != NULL)
			return f;
		if (!full && engine_random(engine) % count == 0)
			found = f;
	}
	return found;
}

/* Some are active, or may be: those that rest may have no source at all, and never come. */
static bool is_busy(const struct engine *engine, int p)
{
	const struct fetch *f = engine->idle[p];
	while (f != NULL && f->retry_us > engine->now_us)
		f = f->next;
	return f != NULL || engine->active_len[p] > 0;
}

static uint64_t window(const struct engine *engine, int p)
{
	if (engine->active_len[SWARM_DEMAND] > 0)
		return p == SWARM_PREFETCH ? WINDOW_DEMAND : 0;
	if (p == SWARM_BULK && is_busy(engine, SWARM_PREFETCH))
		return 0;
	uint64_t most = engine->rate * WINDOW_MS / 1000;
	return most < WINDOW_MIN ? WINDOW_MIN : most > WINDOW_MAX ? WINDOW_MAX : most;
}

void engine_schedule(struct engine *engine)
{
	if (!engine->dirty)
		return;
	engine->dirty = false;
	struct fetch *fetch;
	while ((fetch = idle_demand(engine)) != NULL)
		start(fetch);
	for (int p = SWARM_PREFETCH; p >= SWARM_BULK; p--)
		while ((fetch = idle_next(engine, p, window(engine, p))) != NULL)
			start(fetch);
}
