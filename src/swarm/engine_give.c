/* SPDX-License-Identifier: MIT */
/*
 * What others ask of us: from the cache, from what is just arriving, or, as the home of a chunk, by
 * fetching it. Beyond two of a chunk at a time they are sent to others who got it from us. Private
 * chunks and what nobody announced are not given; gives follow the fetch that they wait for.
 */
#include "swarm/engine_parts.h"

#include "base/bytes.h"

#include <string.h>

#define GIVES_MAX 4096 /* at once, in all */
#define GIVES_LINK 1024
#define GIVES_BUSY 4 /* with so many under way we count as busy */
#define BUSY_MS 100
#define GIVE_ALWAYS 4096u /* bytes: sending somebody elsewhere for so little costs as much */

static void fail(struct engine_link *link, uint32_t id, enum fail_reason reason)
{
	uint32_t retry_ms = reason == FAIL_BUSY ? BUSY_MS : 0;
	engine_send(link,
		&(struct message){.type = MESSAGE_FAIL,
			.fail = {.id = id, .reason = reason, .retry_ms = retry_ms}});
}

static enum swarm_priority priority_of(uint8_t flags)
{
	if (flags & REQUEST_DEMAND)
		return SWARM_DEMAND;
	return flags & REQUEST_BULK ? SWARM_BULK : SWARM_PREFETCH;
}

static struct give *give_find(struct engine_link *link, uint32_t id)
{
	struct give *give = link->gives;
	while (give != NULL && give->upload.id != id)
		give = give->next;
	return give;
}

/* Takes it out of its fetch, which may end with it. */
static void leave_fetch(struct give *give)
{
	struct fetch *fetch = TAKE_PTR(give->fetch);
	if (fetch == NULL)
		return;
	struct give **p = &fetch->gives;
	while (*p != give)
		p = &(*p)->fetch_next;
	*p = give->fetch_next;
	engine_fetch_release(fetch);
}

void engine_give_free(struct give *give)
{
	struct engine_link *link = give->link;
	struct engine *engine = link->engine;
	leave_fetch(give);
	struct give **load = &engine->loads;
	while (give->ticket != 0 && *load != give)
		load = &(*load)->load_next;
	if (give->ticket != 0)
		*load = give->load_next;
	struct lease *lease =
		give->leased ? leases_find(&engine->leases, &give->chunk.digest) : NULL;
	if (lease != NULL)
		lease->giving--;
	struct give **p = &link->gives;
	while (*p != give)
		p = &(*p)->next;
	*p = give->next;
	upload_remove(&give->upload);
	if (give->body != NULL)
		engine->ops->body_unref(give->body, engine->data);
	engine->gives_len--;
	free(give);
}

void engine_gives_refuse(struct fetch *fetch)
{
	for (struct give *give = fetch->gives, *next; give != NULL; give = next) {
		struct engine_link *link = give->link;
		uint32_t id = give->upload.id;
		next = give->fetch_next;
		engine_give_free(give); /* with the last one the fetch goes */
		fail(link, id, FAIL_REFUSED);
	}
}

static void set_body(struct give *give, struct engine_body *body)
{
	struct engine *engine = give->link->engine;
	if (give->body == body)
		return;
	if (give->body != NULL)
		engine->ops->body_unref(give->body, engine->data);
	give->body = body != NULL ? engine->ops->body_ref(body, engine->data) : NULL;
	give->upload.off = 0; /* what was sent may have been wrong: from the beginning */
	give->upload.avail = 0;
}

void engine_gives_follow(struct fetch *fetch)
{
	for (struct give *give = fetch->gives; give != NULL; give = give->fetch_next) {
		set_body(give, fetch->lead != NULL ? fetch->lead->body : NULL);
		give->upload.avail = fetch->lead != NULL ? fetch->lead->received : 0;
	}
}

void engine_gives_complete(struct fetch *fetch, struct engine_body *body)
{
	while (fetch->gives != NULL) {
		struct give *give = fetch->gives;
		fetch->gives = give->fetch_next;
		give->fetch = NULL;
		set_body(give, body);
		give->upload.avail = give->upload.len;
	}
}

/* The cache answered. */
void engine_loaded(
	struct engine *engine, uint64_t ticket, struct engine_body *take_body, uint64_t now_us)
{
	engine->now_us = now_us;
	struct give **p = &engine->loads;
	while (*p != NULL && (*p)->ticket != ticket)
		p = &(*p)->load_next;
	struct give *give = *p;
	if (give == NULL) {
		if (take_body != NULL)
			engine->ops->body_unref(take_body, engine->data);
		return;
	}
	*p = give->load_next;
	give->ticket = 0;
	if (take_body != NULL) {
		set_body(give, take_body);
		give->upload.avail = give->upload.len;
		engine->ops->body_unref(take_body, engine->data);
		return;
	}
	/* It was believed to be there, and is not. */
	struct engine_link *link = give->link;
	uint32_t id = give->upload.id;
	engine_give_free(give);
	fail(link, id, FAIL_NOT_HELD);
}

/* How far a holder is from who asks, by their ids: so the same ones meet again. */
struct asker {
	struct engine *engine;
	const struct peer *peer;
};

static uint64_t rank(uint64_t who, void *data)
{
	const struct asker *asker = data;
	const struct peer *holder = (const struct peer *)(uintptr_t)who;
	if (holder == asker->peer || !engine_dialable(asker->engine, holder))
		return UINT64_MAX;
	return (get_le64(asker->peer->member.id.bytes) ^ get_le64(holder->member.id.bytes)) >> 1;
}

/* Names somebody else when we give enough of it already; true when it did. */
static bool redirect(struct engine_link *link, uint32_t id, struct lease *lease, uint8_t flags)
{
	struct engine *engine = link->engine;
	uint64_t who = (uint64_t)(uintptr_t)link->peer;
	if (flags & REQUEST_FORCE) {
		struct holder *self = lease_holder(lease, who);
		if (self != NULL)
			lease_drop(lease, self->parent);
		return false;
	}
	bool busy = lease->giving >= LEASE_FANOUT ||
		(lease->given >= LEASE_FANOUT && engine->gives_len >= GIVES_BUSY);
	if (flags & REQUEST_ONLY_HELD || !busy)
		return false;
	struct asker asker = {engine, link->peer};
	struct holder *holder =
		lease_pick(lease, &(struct lease_asker){.who = who, .rank = rank, .data = &asker});
	if (holder == NULL)
		return false;
	holder->sent++;
	uint64_t parent = holder->who;
	const struct peer *named = (const struct peer *)(uintptr_t)parent;
	(void)lease_add(lease, who, parent);
	engine_send(link,
		&(struct message){.type = MESSAGE_ASK,
			.ask = {.id = id,
				.node = named->member.id,
				.address = named->member.address}});
	return true;
}

/* Its bytes come from what arrives, or from the cache. */
static void give_start(
	struct engine_link *link, uint32_t id, const struct chunk *chunk, uint8_t flags, bool held)
{
	struct engine *engine = link->engine;
	bool full = engine->gives_len >= GIVES_MAX || link->queue.len >= GIVES_LINK;
	struct give *give = full ? NULL : calloc(1, sizeof(*give));
	struct lease *lease = leases_get(&engine->leases, &chunk->digest);
	if (give == NULL || lease == NULL) {
		free(give);
		fail(link, id, FAIL_BUSY);
		return;
	}
	lease->giving++;
	lease->given++;
	(void)lease_add(lease, (uint64_t)(uintptr_t)link->peer, 0);
	*give = (struct give){.chunk = *chunk,
		.link = link,
		.next = link->gives,
		.leased = true,
		.upload = {.id = id, .priority = priority_of(flags), .len = chunk->len}};
	link->gives = give;
	engine->gives_len++;
	upload_add(&link->queue, &give->upload);
	if (held) {
		give->ticket = engine->next_ticket++;
		give->load_next = engine->loads;
		engine->loads = give;
		engine->ops->load(&chunk->digest, chunk->len, give->ticket, engine->data);
		return;
	}
	struct chunk told = *chunk;
	told.is_hearsay = true;
	struct fetch *fetch = engine_fetch_get(engine, &told, priority_of(flags));
	if (fetch == NULL) {
		engine_give_free(give);
		fail(link, id, FAIL_BUSY);
		return;
	}
	give->fetch = fetch;
	give->fetch_next = fetch->gives;
	fetch->gives = give;
	engine_fetch_hurry(fetch);
	if (fetch->lead != NULL && fetch->lead->body != NULL) {
		set_body(give, fetch->lead->body);
		give->upload.avail = fetch->lead->received;
	}
}

/* We are asking that peer for the same chunk, so neither of us can wait for the other. */
static bool asks_back(const struct fetch *fetch, const struct peer *peer)
{
	return (fetch->lead != NULL && fetch->lead->link->peer == peer) ||
		(fetch->hedge != NULL && fetch->hedge->link->peer == peer);
}

/* Whom we only looked aside to, and who now asks us as the home, does not have it. */
static void end_aside(struct fetch *fetch, const struct peer *peer, uint8_t flags)
{
	const uint8_t mask = REQUEST_ONLY_HELD | REQUEST_NAMED;
	if (!(flags & REQUEST_ONLY_HELD) && fetch->lead != NULL &&
		fetch->lead->link->peer == peer && (fetch->lead->flags & mask) == REQUEST_ONLY_HELD)
		engine_attempt_failed(fetch->lead);
}

static void request_item(
	struct engine_link *link, uint32_t id, const struct chunk *chunk, uint8_t flags)
{
	struct engine *engine = link->engine;
	/* An origin that waited for us could not be asked for it. */
	if (chunk->is_private || !engine->params.peers || link->peer->origin >= 0 ||
		engine->ops->hides(&chunk->digest, engine->data)) {
		fail(link, id, FAIL_REFUSED);
		return;
	}
	struct fetch *fetch = engine_fetch_find(engine, &chunk->digest);
	if (fetch != NULL)
		end_aside(fetch, link->peer, flags);
	bool held = fetch == NULL && engine->ops->has(&chunk->digest, engine->data);
	bool arriving = fetch != NULL && fetch->lead != NULL &&
		(flags & REQUEST_NAMED || !engine_is_dry(fetch->lead));
	if (fetch != NULL && (asks_back(fetch, link->peer) || fetch->chunk.is_private)) {
		fail(link, id, FAIL_NOT_HELD);
		return;
	}
	if (!held && !arriving && (flags & REQUEST_ONLY_HELD)) {
		fail(link, id, FAIL_NOT_HELD);
		return;
	}
	if (fetch != NULL && fetch->chunk.len != chunk->len) {
		fail(link, id, FAIL_REFUSED);
		return;
	}
	struct lease *lease = leases_find(&engine->leases, &chunk->digest);
	if (lease != NULL && chunk->len > GIVE_ALWAYS && redirect(link, id, lease, flags))
		return;
	give_start(link, id, chunk, flags, held);
}

void engine_request(struct engine_link *link, const struct message *message)
{
	uint32_t id = message->request.first;
	uint8_t flags = message->request.flags;
	VEC_FOREACH(item, &message->request.items) {
		struct give *under_way = give_find(link, id);
		if (under_way == NULL) {
			request_item(link, id, item, flags);
		} else {
			upload_raise(&under_way->upload, priority_of(flags));
			if (under_way->fetch != NULL)
				engine_fetch_raise(under_way->fetch, priority_of(flags));
		}
		id++;
	}
}

void engine_cancel(struct engine_link *link, uint32_t id)
{
	struct give *give = give_find(link, id);
	if (give == NULL)
		return;
	struct lease *lease = leases_find(&link->engine->leases, &give->chunk.digest);
	if (lease != NULL)
		lease_drop(lease, (uint64_t)(uintptr_t)link->peer);
	engine_give_free(give);
}

/* Whom it went to is somebody to get it back from. */
static void remember(const struct give *give)
{
	struct lease *lease = leases_find(&give->link->engine->leases, &give->chunk.digest);
	struct holder *holder =
		lease != NULL ? lease_holder(lease, (uint64_t)(uintptr_t)give->link->peer) : NULL;
	if (holder != NULL)
		holder->complete = true;
}

/*
 * It is answered, so that we count as alive, and, as in edge-chasing (Chandy, Misra and Haas,
 * 1983), goes on to whom we wait for. A circle is told by the probe of its member with the largest
 * id alone, so only one of them gives way.
 */
void engine_probe(struct engine_link *link, const struct message *message)
{
	struct engine *engine = link->engine;
	const struct give *give = give_find(link, message->probe.id);
	if (give == NULL) {
		fail(link, message->probe.id, FAIL_NOT_HELD);
		return;
	}
	engine_send(
		link, &(struct message){.type = MESSAGE_PART, .part = {.id = message->probe.id}});
	struct attempt *lead = give != NULL && give->fetch != NULL ? give->fetch->lead : NULL;
	if (lead == NULL || !engine_is_dry(lead) || !lead->link->up)
		return;
	int order = memcmp(&message->probe.node, &engine->params.self.id, sizeof(struct node_id));
	if (order == 0) {
		engine->stat.circles++;
		engine_attempt_failed(lead);
	} else if (order > 0 && message->probe.hops > 0) {
		struct message on = *message;
		on.probe.id = lead->id;
		on.probe.hops--;
		engine_send(lead->link, &on);
	}
}

uint64_t engine_pump(struct engine *engine)
{
	for (;;) {
		uint64_t later;
		struct upload *upload = uploads_next(&engine->uploads, engine->now_us, &later);
		if (upload == NULL)
			return later;
		struct give *give = (struct give *)upload;
		uint32_t len = upload->avail - upload->off;
		if (len > LINK_PART_SIZE)
			len = LINK_PART_SIZE;
		give->link->used_us = engine->now_us;
		engine->ops->part(
			give->link, upload->id, give->body, upload->off, len, engine->data);
		engine->stat.uploaded_bytes += len;
		uploads_gave(&engine->uploads, upload, len, engine->now_us);
		if (upload->off < upload->len)
			continue;
		engine->stat.uploaded_chunks++;
		remember(give);
		engine_give_free(give);
	}
}
