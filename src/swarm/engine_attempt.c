/* SPDX-License-Identifier: MIT */
/*
 * A fetch asks one source at a time, or two when a demand waits for longer than nearly all do (a
 * hedge). Bytes are relayed while they arrive, but the last part only when the chunk is verified:
 * so whoever gets a whole chunk that is wrong knows that its sender is at fault.
 */
#include "swarm/engine_parts.h"

#define CORRUPT_MAX 2 /* chunks until a node is banned */

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

void engine_attempt_raise(struct attempt *attempt)
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
void engine_attempt_cancel(struct attempt *attempt)
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
		.hearsay = fetch->chunk.is_hearsay,
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
bool engine_ask_next(struct fetch *fetch)
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
	if (fetch->lead == NULL && !engine_ask_next(fetch))
		engine_fetch_rest(fetch);
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
		engine_fetch_rest(fetch);
		fetch->rounds--;
		fetch->retry_us =
			engine->now_us + 1000 * (uint64_t)(retry_ms < 10000 ? retry_ms : 10000) + 1;
		engine_due(engine, fetch->retry_us);
		return;
	}
	engine_attempt_failed(attempt);
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
		engine_latency_add(engine, attempt, origin);
	peer->failures = 0;
	peer->unreachable_us = 0;
	attempt->received = 0; /* not wasted */
	if (fetch->lead != attempt) {
		struct attempt *slower = fetch->lead;
		fetch->lead = attempt;
		fetch->hedge = slower;
	}
	if (fetch->hedge != NULL)
		engine_attempt_cancel(fetch->hedge);
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
	if (peer->mirror && !attempt->hearsay)
		engine->ops->mirror_distrust(link, &attempt->fetch->chunk, engine->data);
	else if (!peer->mirror)
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
	if (attempt->first_us == 0) {
		attempt->first_us = engine->now_us;
		engine_responded(engine, attempt);
	}
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
