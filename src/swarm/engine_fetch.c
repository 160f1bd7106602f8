/* SPDX-License-Identifier: MIT */
/*
 * One fetch per chunk, whoever wants it: it is idle until its turn comes, then active with one
 * source at a time, or two when a demand waits for longer than nearly all do (a hedge). Bytes are
 * relayed while they arrive, but the last part only when the chunk is verified: so whoever gets a
 * whole chunk that is wrong knows that its sender is at fault.
 */
#include "swarm/engine_parts.h"

#include <string.h>

#define WINDOW_MIN (512u * 1024) /* bytes of prefetch under way */
#define WINDOW_MAX (8u * 1024 * 1024)
#define WINDOW_DEMAND (128u * 1024) /* the same while demands wait */
#define WINDOW_MS 200               /* at the rate of late */
#define DEMANDS_MAX 512             /* under way; more wait */
#define SHUFFLE 32                  /* prefetch is picked at random from so many */

#define SILENT_DEMAND_US 3000000 /* without a byte of it, for a demand, though the source lives */
#define SILENT_US 10000000       /* the same for what nobody waits for */
#define SLOW_US 1500000          /* after so long a source has to be faster than that */
#define SLOW_RATE (32u * 1024)   /* bytes a second */
#define HEDGE_MIN_US 30000
#define HEDGE_UNKNOWN_US 300000 /* until a p95 is known */
#define HEDGE_SAMPLES 20
#define HEDGE_COST 100 /* a request brings 5: hedges are at most 5 % */
#define HEDGE_GAIN 5
#define RETRY_US 50000 /* after all sources failed; doubles */
#define RETRY_MAX_US 2000000
#define PROBE_US 50000 /* without a byte, until the source is probed */
#define DEAD_US 400000 /* for any answer to a probe */
#define PROBE_HOPS 64
#define CORRUPT_MAX 2 /* chunks until a node is banned */

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

static uint8_t flags_of(enum swarm_priority priority)
{
	switch (priority) {
	case SWARM_BULK:
		return REQUEST_BULK;
	case SWARM_PREFETCH:
		return 0;
	case SWARM_DEMAND:
		return REQUEST_DEMAND;
	}
	return 0;
}

/* Puts a request into the link's batch, which goes when it cannot be continued, or with the tick.
 */
static void batch_add(
	struct engine_link *link, uint32_t id, uint8_t flags, const struct chunk *chunk)
{
	struct err err = ERR_INIT;
	struct message *batch = &link->batch;
	chunks *items = &batch->request.items;
	bool fits = items->len < LINK_ITEMS_MAX && batch->request.flags == flags &&
		batch->request.first + items->len == id;
	if (items->len > 0 && !fits)
		engine_flush(link);
	if (items->len == 0) {
		batch->type = MESSAGE_REQUEST;
		batch->request.first = id;
		batch->request.flags = flags;
		batch->request.epoch = (uint32_t)link->engine->epoch;
	}
	(void)vec_push(items, *chunk, &err); /* a request that is lost times out */
	if (!link->batched) {
		link->batched = true;
		link->batch_next = link->engine->batches;
		link->engine->batches = link;
	}
}

void engine_flush(struct engine_link *link)
{
	if (!link->up || link->batch.request.items.len == 0)
		return;
	engine_send(link, &link->batch);
	link->batch.request.items.len = 0;
}

void engine_flush_all(struct engine *engine)
{
	for (struct engine_link **p = &engine->batches, *link; (link = *p) != NULL;) {
		engine_flush(link);
		if (link->batch.request.items.len > 0) { /* it is still being dialled */
			p = &link->batch_next;
			continue;
		}
		link->batched = false;
		*p = link->batch_next;
	}
}

void engine_batch_drop(struct engine_link *link)
{
	struct engine_link **p = &link->engine->batches;
	while (*p != NULL && *p != link)
		p = &(*p)->batch_next;
	if (*p == link)
		*p = link->batch_next;
	vec_done(&link->batch.request.items);
}

static void ask_raise(struct attempt *attempt)
{
	struct fetch *fetch = attempt->fetch;
	struct engine *engine = fetch->engine;
	struct engine_link *link = attempt->link;
	const uint8_t mask = REQUEST_DEMAND | REQUEST_BULK;
	attempt->flags = (uint8_t)((attempt->flags & ~mask) | flags_of(fetch->priority));
	if (!link->peer->mirror) {
		batch_add(link, attempt->id, attempt->flags, &fetch->chunk);
		return;
	}
	if (attempt->received > 0)
		return;
	engine->ops->mirror_cancel(link, attempt->id, engine->data);
	engine->ops->mirror_get(link, attempt->id, &fetch->chunk, fetch->priority, engine->data);
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
	if (fetch->lead != NULL)
		ask_raise(fetch->lead);
	engine_due(fetch->engine, fetch->engine->now_us);
	fetch->engine->dirty = true;
}

struct attempt *engine_attempt_find(const struct engine_link *link, uint32_t id)
{
	struct attempt *attempt = link->attempts;
	while (attempt != NULL && attempt->id != id)
		attempt = attempt->next;
	return attempt;
}

/* Forgets it; the fetch has no source in its place yet. */
static void attempt_free(struct attempt *attempt)
{
	struct fetch *fetch = attempt->fetch;
	struct engine *engine = fetch->engine;
	struct attempt **p = &attempt->link->attempts;
	while (*p != attempt)
		p = &(*p)->next;
	*p = attempt->next;
	if (fetch->hedge == attempt)
		fetch->hedge = NULL;
	if (fetch->lead == attempt) {
		fetch->lead = fetch->hedge;
		fetch->hedge = NULL;
		engine_gives_follow(fetch);
	}
	if (attempt->body != NULL)
		engine->ops->body_unref(attempt->body, engine->data);
	free(attempt);
}

/* The same, and the source is told that nobody waits for it any more. */
static void attempt_cancel(struct attempt *attempt)
{
	struct engine_link *link = attempt->link;
	struct engine *engine = link->engine;
	engine->stat.wasted_bytes += attempt->received;
	if (link->peer != NULL && link->peer->mirror)
		engine->ops->mirror_cancel(link, attempt->id, engine->data);
	else if (link->up) {
		engine_flush(link);
		engine_send(
			link, &(struct message){.type = MESSAGE_CANCEL, .cancel = {attempt->id}});
	}
	attempt_free(attempt);
}

void engine_fetch_free(struct fetch *fetch)
{
	struct engine *engine = fetch->engine;
	while (fetch->lead != NULL)
		attempt_cancel(fetch->lead);
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
static void wait_for_next_round(struct fetch *fetch)
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

static struct attempt *attempt_new(struct fetch *fetch, struct peer *peer, uint8_t flags)
{
	struct engine *engine = fetch->engine;
	struct engine_link *link = engine_link_to(engine, peer);
	struct attempt *attempt = link != NULL ? calloc(1, sizeof(*attempt)) : NULL;
	if (attempt == NULL)
		return NULL;
	*attempt = (struct attempt){.next = link->attempts,
		.fetch = fetch,
		.link = link,
		.id = link->next_id++,
		.flags = flags,
		.began_us = engine->now_us,
		.progress_us = engine->now_us};
	link->attempts = attempt;
	link->used_us = engine->now_us;
	if (peer->mirror)
		engine->ops->mirror_get(
			link, attempt->id, &fetch->chunk, fetch->priority, engine->data);
	else
		batch_add(link, attempt->id, flags, &fetch->chunk);
	engine_due(engine, engine->now_us + HEDGE_MIN_US);
	return attempt;
}

/* Asks the next source; false when nobody is left. */
static bool ask_next(struct fetch *fetch)
{
	for (;;) {
		uint8_t flags;
		struct peer *peer = engine_source(fetch, &flags);
		if (peer == NULL)
			return false;
		struct attempt *attempt = attempt_new(fetch, peer, flags);
		if (attempt == NULL)
			continue;
		if (fetch->lead == NULL) {
			fetch->lead = attempt;
		} else {
			fetch->hedge = attempt;
			attempt->hedge = true;
		}
		return true;
	}
}

void engine_attempt_failed(struct attempt *attempt)
{
	struct fetch *fetch = attempt->fetch;
	fetch->engine->stat.wasted_bytes += attempt->received;
	attempt_free(attempt);
	if (fetch->lead == NULL && !ask_next(fetch))
		wait_for_next_round(fetch);
	fetch->engine->dirty = true;
}

void engine_ask(struct attempt *attempt, const struct message *message)
{
	struct fetch *fetch = attempt->fetch;
	struct engine *engine = fetch->engine;
	struct peer *namer = attempt->link->peer;
	struct peer *named = engine_peer_get(engine, &message->ask.node);
	if (namer->origin >= 0)
		engine->stat.lease_waits++;
	else
		engine->stat.redirects++;
	if (named != NULL && named->origin < 0 && !named->is_member && named->link == NULL)
		named->member.address = message->ask.address;
	fetch->named = named;
	fetch->namer = namer;
	engine_attempt_failed(attempt);
}

void engine_fail(struct attempt *attempt, enum fail_reason reason, uint32_t retry_ms)
{
	struct fetch *fetch = attempt->fetch;
	struct engine *engine = fetch->engine;
	struct peer *peer = attempt->link->peer;
	bool origin = peer->origin >= 0;
	if (reason == FAIL_BUSY && origin && fetch->hedge == NULL && fetch->lead == attempt) {
		attempt_free(attempt);
		wait_for_next_round(fetch);
		fetch->rounds--;
		fetch->retry_us =
			engine->now_us + 1000 * (uint64_t)(retry_ms < 10000 ? retry_ms : 10000) + 1;
		engine_due(engine, fetch->retry_us);
		return;
	}
	engine_attempt_failed(attempt);
}

static void latency_add(struct engine *engine, const struct attempt *attempt, bool origin)
{
	uint64_t us = engine->now_us - attempt->fetch->wanted_us;
	unsigned bin = 0;
	while (bin < SWARM_BINS - 1 && us >= 16u << bin)
		bin++;
	(origin ? engine->stat.origin_latency : engine->stat.peer_latency)[bin]++;
	engine->latency[bin]++;
	if (++engine->latency_len < 256)
		return;
	engine->latency_len = 0;
	for (bin = 0; bin < SWARM_BINS; bin++) {
		engine->latency[bin] /= 2;
		engine->latency_len += engine->latency[bin];
	}
}

/* What 95 % of the demands of late did not exceed. */
static uint64_t hedge_after(const struct engine *engine)
{
	if (engine->latency_len < HEDGE_SAMPLES)
		return HEDGE_UNKNOWN_US;
	unsigned seen = 0, bin = 0;
	while (bin < SWARM_BINS - 1 &&
		(seen += engine->latency[bin]) * 100 < engine->latency_len * 95)
		bin++;
	uint64_t p95 = 16u << bin;
	return p95 > HEDGE_MIN_US ? p95 : HEDGE_MIN_US;
}

/* The chunk is here and is right. */
static void complete(struct attempt *attempt)
{
	struct fetch *fetch = attempt->fetch;
	struct engine *engine = fetch->engine;
	struct peer *peer = attempt->link->peer;
	bool origin = peer->origin >= 0;
	struct engine_body *body = engine->ops->body_ref(attempt->body, engine->data);
	*(origin ? &engine->stat.origin_bytes : &engine->stat.peer_bytes) += fetch->chunk.len;
	*(origin ? &engine->stat.origin_chunks : &engine->stat.peer_chunks) += 1;
	if (fetch->priority == SWARM_DEMAND)
		latency_add(engine, attempt, origin);
	peer->failures = 0;
	peer->unreachable_us = 0;
	attempt->received = 0; /* not wasted */
	if (fetch->lead != attempt) {
		struct attempt *slower = fetch->lead;
		fetch->lead = attempt;
		fetch->hedge = slower;
	}
	if (fetch->hedge != NULL)
		attempt_cancel(fetch->hedge);
	engine->ops->store(&fetch->chunk, body, engine->data);
	engine_gives_complete(fetch, body);
	struct engine_want *want = TAKE_PTR(fetch->wants);
	attempt_free(attempt);
	engine_fetch_free(fetch);
	while (want != NULL) {
		struct engine_want *next = want->next;
		engine->ops->got(
			want->user, body, origin ? SWARM_ORIGIN : SWARM_PEER, engine->data);
		free(want);
		want = next;
	}
	engine->ops->body_unref(body, engine->data);
}

/* A whole chunk that is not what was asked for. */
static void corrupt(struct attempt *attempt)
{
	struct engine_link *link = attempt->link;
	struct engine *engine = link->engine;
	struct peer *peer = link->peer;
	engine->stat.corrupt++;
	if (peer->mirror)
		engine->ops->mirror_distrust(link, &attempt->fetch->chunk, engine->data);
	else
		engine_send(link,
			&(struct message){
				.type = MESSAGE_BAD, .bad = attempt->fetch->chunk.digest});
	bool ban = ++peer->corrupt >= CORRUPT_MAX && peer->origin < 0;
	engine_attempt_failed(attempt);
	if (ban)
		engine_ban(engine, peer);
}

void engine_part(struct attempt *attempt, uint32_t off, const void *bytes, uint32_t len)
{
	struct fetch *fetch = attempt->fetch;
	struct engine *engine = fetch->engine;
	if (len == 0)
		return; /* an answer to a probe */
	if (off == 0 && attempt->received > 0) {
		/* Its sender's own source changed: from the beginning. */
		engine->stat.wasted_bytes += attempt->received;
		attempt->received = 0;
		engine->ops->body_unref(attempt->body, engine->data);
		attempt->body = NULL;
		if (fetch->lead == attempt)
			engine_gives_follow(fetch);
	}
	if (attempt->body == NULL)
		attempt->body = engine->ops->body_new(&fetch->chunk, engine->data);
	if (attempt->body == NULL || off != attempt->received || len > fetch->chunk.len - off) {
		engine_attempt_failed(attempt);
		return;
	}
	engine->ops->body_write(attempt->body, off, bytes, len, engine->data);
	attempt->received += len;
	attempt->progress_us = engine->now_us;
	if (attempt->first_us == 0)
		attempt->first_us = engine->now_us;
	engine->rate_bytes += len;
	if (attempt->received < fetch->chunk.len) {
		if (fetch->lead == attempt)
			engine_gives_follow(fetch);
	} else if (engine->ops->body_verify(attempt->body, engine->data)) {
		complete(attempt);
	} else {
		corrupt(attempt);
	}
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
	if (!ask_next(fetch))
		wait_for_next_round(fetch);
}

/*
 * The next idle one of a priority that may be started: demands in order; then what others wait for,
 * within twice the window, since we are its home; else shuffled, so that not all nodes want the
 * same chunk at the same time. NULL: nothing, or the window is full.
 */
static struct fetch *idle_next(struct engine *engine, int p, uint64_t window)
{
	if (p != SWARM_DEMAND && engine->active_bytes >= 2 * window)
		return NULL;
	bool full = p != SWARM_DEMAND && engine->active_bytes >= window;
	struct fetch *found = NULL;
	unsigned count = 0;
	for (struct fetch *f = engine->idle[p]; f != NULL && count < SHUFFLE; f = f->next) {
		if (f->retry_us > engine->now_us)
			continue;
		count++;
		if (p == SWARM_DEMAND || f->gives != NULL)
			return f;
		if (!full && engine_random(engine) % count == 0)
			found = f;
	}
	return found;
}

static uint64_t window(const struct engine *engine, int p)
{
	if (engine->active_len[SWARM_DEMAND] > 0)
		return p == SWARM_PREFETCH ? WINDOW_DEMAND : 0;
	if (p == SWARM_BULK &&
		engine->active_len[SWARM_PREFETCH] + engine->idle_len[SWARM_PREFETCH] > 0)
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
	while (engine->active_len[SWARM_DEMAND] < DEMANDS_MAX &&
		(fetch = idle_next(engine, SWARM_DEMAND, 0)) != NULL)
		start(fetch);
	for (int p = SWARM_PREFETCH; p >= SWARM_BULK; p--)
		while ((fetch = idle_next(engine, p, window(engine, p))) != NULL)
			start(fetch);
}

/* A peer that was probed and says nothing at all is dead. */
static uint64_t dead_at(const struct attempt *attempt)
{
	const struct engine_link *link = attempt->link;
	bool probed = attempt->probed_us != 0 && link->heard_us < attempt->probed_us;
	return probed ? attempt->probed_us + DEAD_US : UINT64_MAX;
}

/* When a source is too slow, or has had its chance otherwise. */
static uint64_t patience_ends(const struct attempt *attempt)
{
	const struct fetch *fetch = attempt->fetch;
	uint64_t silent = fetch->priority == SWARM_DEMAND ? SILENT_DEMAND_US : SILENT_US;
	uint64_t end = attempt->progress_us + silent;
	if (attempt->link->peer->origin >= 0 || attempt->first_us == 0)
		return end;
	uint64_t slow =
		attempt->first_us + SLOW_US + (uint64_t)attempt->received * 1000000 / SLOW_RATE;
	return slow < end ? slow : end;
}

static void give_up(struct attempt *attempt, bool dead)
{
	struct engine_link *link = attempt->link;
	struct engine *engine = link->engine;
	bool slow = attempt->first_us != 0;
	engine->stat.timeouts++;
	/* One that only waits itself is not to blame. */
	if (dead || slow || link->peer->origin >= 0)
		engine_quarantine(engine, link->peer);
	uint32_t id = attempt->id;
	link->is_silent |= dead;
	engine_attempt_failed(attempt);
	if (link->peer->mirror)
		engine->ops->mirror_cancel(link, id, engine->data);
	else if (link->up)
		engine_send(link, &(struct message){.type = MESSAGE_CANCEL, .cancel = {id}});
}

/* Who says nothing at all gets no second request: what else it was asked for fails over, too. */
static void close_silent(struct engine *engine)
{
	for (struct engine_link *link = engine->links, *next; link != NULL; link = next) {
		next = link->next;
		if (link->is_silent && link->peer->origin < 0)
			engine_link_close(link);
		else
			link->is_silent = false;
	}
}

/* A source that gives nothing may be dead, or wait for us by way of others: a probe finds out. */
static uint64_t probe(struct attempt *lead)
{
	struct engine *engine = lead->link->engine;
	if (lead->link->peer->origin >= 0 || !lead->link->up)
		return UINT64_MAX;
	uint64_t since =
		lead->progress_us > lead->link->up_us ? lead->progress_us : lead->link->up_us;
	uint64_t waited = engine->now_us - since;
	if (waited < PROBE_US)
		return since + PROBE_US;
	if (lead->probe_us <= engine->now_us) {
		lead->probe_us = engine->now_us + waited;
		if (dead_at(lead) == UINT64_MAX)
			lead->probed_us = engine->now_us;
		engine_send(lead->link,
			&(struct message){.type = MESSAGE_PROBE,
				.probe = {.id = lead->id,
					.node = engine->params.self.id,
					.hops = PROBE_HOPS}});
	}
	return lead->probe_us;
}

/* Returns when to look at the fetch again. */
static uint64_t check(struct fetch *fetch)
{
	struct engine *engine = fetch->engine;
	if (fetch->lead == NULL)
		return UINT64_MAX;
	uint64_t end = patience_ends(fetch->lead), dead = dead_at(fetch->lead);
	if (end <= engine->now_us || dead <= engine->now_us) {
		give_up(fetch->lead, dead <= engine->now_us);
		return engine->now_us + HEDGE_MIN_US;
	}
	uint64_t again = probe(fetch->lead);
	end = again < end ? again : end;
	end = dead < end ? dead : end;
	if (fetch->hedge != NULL || fetch->priority != SWARM_DEMAND)
		return end;
	uint64_t since =
		fetch->lead->began_us > fetch->wanted_us ? fetch->lead->began_us : fetch->wanted_us;
	uint64_t hedge = since + hedge_after(engine);
	if (hedge > engine->now_us)
		return hedge < end ? hedge : end;
	if (engine->hedge_tokens < HEDGE_COST)
		return engine->now_us + HEDGE_MIN_US < end ? engine->now_us + HEDGE_MIN_US : end;
	if (ask_next(fetch)) {
		engine->hedge_tokens -= HEDGE_COST;
		engine->stat.hedges++;
	}
	return end;
}

void engine_timeouts(struct engine *engine)
{
	uint64_t due = UINT64_MAX;
	for (struct fetch *fetch = engine->active, *next; fetch != NULL; fetch = next) {
		next = fetch->next;
		uint64_t again = check(fetch);
		if (again < due)
			due = again;
	}
	close_silent(engine);
	for (int p = 0; p < SWARM_PRIORITIES && engine->resting > 0; p++)
		for (struct fetch *fetch = engine->idle[p]; fetch != NULL; fetch = fetch->next) {
			if (fetch->retry_us > engine->now_us && fetch->retry_us < due)
				due = fetch->retry_us;
			engine->dirty |= fetch->retry_us != 0 && fetch->retry_us <= engine->now_us;
		}
	engine_due(engine, due);
}
