/* SPDX-License-Identifier: MIT */
/*
 * The engine's outside: wants come in, events come in, and engine_tick() does what follows from
 * them. Who is asked is in engine_source.c, how in engine_fetch.c, what others get in
 * engine_give.c, who there is in engine_peers.c. docs/internals/swarm.md.
 */
#include "swarm/engine_parts.h"

#include <string.h>

#define LEASES_MAX 4096
#define HOLLOW_MAX 64 /* look-asides for nothing until an inventory is not believed */
#define HOUSEKEEPING_US 100000
#define RECHECK_US 100000 /* reports of bad chunks are looked at no more often */
#define TIMEOUTS_US 5000  /* deadlines are looked at no more often */
#define TOUCHES_MAX 65536 /* that wait to be reported */
#define TOUCHES_NEWS 128  /* so many are worth a heartbeat of their own */

/* SplitMix64. */
uint64_t engine_random(struct engine *engine)
{
	uint64_t v = engine->random += 0x9e3779b97f4a7c15;
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9;
	v = (v ^ v >> 27) * 0x94d049bb133111eb;
	return v ^ v >> 31;
}

static bool link_has_room(void *owner)
{
	struct engine_link *link = owner;
	return link->up && link->engine->ops->has_room(link, link->engine->data);
}

static int add_origins(struct engine *engine, struct err *err)
{
	for (unsigned i = 0; i < engine->params.origins; i++) {
		struct peer *peer = calloc(1, sizeof(*peer));
		if (peer == NULL)
			return err_oom(err);
		peer->origin = (int)i;
		if (vec_push(&engine->origins, peer, err) < 0) {
			free(peer);
			return -1;
		}
	}
	return 0;
}

int engine_new(const struct engine_params *params, const struct engine_ops *ops, void *data,
	uint64_t now_us, struct engine **ret, struct err *err)
{
	struct engine *engine = calloc(1, sizeof(*engine));
	if (engine == NULL)
		return err_oom(err);
	engine->params = *params;
	if (!params->peers)
		engine->params.self.address.port = 0; /* nobody shall come in vain */
	engine->ops = ops;
	engine->data = data;
	engine->now_us = engine->rate_us = now_us;
	engine->random = params->seed;
	engine->homes_stale = true;
	engine->next_ticket = 1;
	engine->uploads.limit = params->uplink;
	engine->uploads.has_room = link_has_room;
	engine->system = strdup(params->system != NULL ? params->system : "");
	engine->version = strdup(params->version != NULL ? params->version : "");
	if (engine->system == NULL || engine->version == NULL) {
		engine_free(engine);
		return err_oom(err);
	}
	if (leases_init(&engine->leases, LEASES_MAX, err) < 0 || add_origins(engine, err) < 0) {
		engine_free(engine);
		return -1;
	}
	*ret = engine;
	return 0;
}

struct engine *engine_free(struct engine *engine)
{
	if (engine == NULL)
		return NULL;
	for (size_t i = 0; i < FETCH_HEADS; i++)
		while (engine->fetch_heads[i] != NULL) {
			struct fetch *fetch = engine->fetch_heads[i];
			while (fetch->wants != NULL) {
				struct engine_want *want = fetch->wants;
				fetch->wants = want->next;
				free(want);
			}
			for (struct give *give = fetch->gives; give != NULL;
				give = give->fetch_next)
				give->fetch = NULL;
			fetch->gives = NULL;
			engine_fetch_free(fetch);
		}
	engine_links_free(engine);
	for (struct peer *peer = engine->peers, *next; peer != NULL; peer = next) {
		next = peer->next;
		free(peer);
	}
	VEC_FOREACH(origin, &engine->origins)
		free(*origin);
	vec_done(&engine->origins);
	vec_done(&engine->touches);
	leases_done(&engine->leases);
	free(engine->system);
	free(engine->version);
	free(engine);
	return NULL;
}

void engine_leave(struct engine *engine)
{
	if (engine->tracker != NULL && engine->tracker->link != NULL && engine->tracker->link->up)
		engine_send(engine->tracker->link, &(struct message){.type = MESSAGE_LEAVE});
}

int engine_want(struct engine *engine, const struct chunk *chunk, enum swarm_priority priority,
	void *user, uint64_t now_us, struct engine_want **ret, struct err *err)
{
	engine->now_us = now_us;
	struct engine_want *want = calloc(1, sizeof(*want));
	struct fetch *fetch = want != NULL ? engine_fetch_own(engine, chunk, priority) : NULL;
	if (fetch == NULL) {
		free(want);
		return err_oom(err);
	}
	*want = (struct engine_want){
		.next = fetch->wants, .fetch = fetch, .priority = priority, .user = user};
	fetch->wants = want;
	*ret = want;
	return 0;
}

void engine_want_cancel(struct engine_want *want, uint64_t now_us)
{
	if (want == NULL)
		return;
	struct fetch *fetch = want->fetch;
	fetch->engine->now_us = now_us;
	struct engine_want **p = &fetch->wants;
	while (*p != want)
		p = &(*p)->next;
	*p = want->next;
	free(want);
	engine_fetch_release(fetch);
}

void engine_link_set_user(struct engine_link *link, void *user)
{
	link->user = user;
}

void *engine_link_user(const struct engine_link *link)
{
	return link->user;
}

static void received_part(struct engine_link *link, const struct message *message)
{
	struct attempt *attempt = engine_attempt_find(link, message->part.id);
	if (attempt == NULL) {
		link->engine->stat.wasted_bytes += message->part.len;
		return;
	}
	link->peer->hollow = 0;
	engine_part(attempt, message->part.off, message->part.bytes, message->part.len);
}

/*
 * An inventory has one bit for all chunks of a bucket, so to miss is no lie. But so often in a row
 * says that it is worth nothing, and asking costs; the next one that is announced counts again.
 */
static void had_nothing(struct engine *engine, struct peer *peer)
{
	if (++peer->hollow < HOLLOW_MAX)
		return;
	peer->hollow = 0;
	if (peer->is_member)
		engine->inventories -= engine_has_inventory(&peer->member);
	memset(peer->member.inventory, 0, INVENTORY_SIZE);
}

static void received_answer(struct engine_link *link, const struct message *message)
{
	bool ask = message->type == MESSAGE_ASK;
	uint32_t id = ask ? message->ask.id : message->fail.id;
	struct attempt *attempt = engine_attempt_find(link, id);
	if (attempt == NULL)
		return;
	if (!ask && message->fail.reason == FAIL_NOT_HELD &&
		(attempt->flags & (REQUEST_ONLY_HELD | REQUEST_NAMED)) == REQUEST_ONLY_HELD)
		had_nothing(link->engine, link->peer);
	if (ask)
		engine_ask(attempt, message);
	else
		engine_fail(attempt, message->fail.reason, message->fail.retry_ms);
}

/* A report is short and a look at the chunk is long, so whoever lies must not get many of them. */
static void received_bad(struct engine *engine, const struct digest *chunk)
{
	if (engine->now_us < engine->recheck_us)
		return;
	engine->recheck_us = engine->now_us + RECHECK_US;
	engine->ops->recheck(chunk, engine->data);
}

/* What only an origin may say. */
static void received_from_origin(struct engine_link *link, const struct message *message)
{
	if (link->peer->origin < 0)
		return;
	if (message->type == MESSAGE_WELCOME)
		engine_welcome(link, message);
	else if (link->peer == link->engine->tracker)
		engine_members(link->engine, message);
}

int engine_receive(
	struct engine_link *link, const struct message *message, uint64_t now_us, struct err *err)
{
	struct engine *engine = link->engine;
	engine_heard(link, now_us);
	if (message->type != MESSAGE_PART)
		engine->stat.control_bytes += message_size(message);
	if (link->peer == NULL && message->type != MESSAGE_HELLO)
		return err_raise(
			err, ERR_CORRUPT, "link: message %d before HELLO", (int)message->type);
	switch (message->type) {
	case MESSAGE_HELLO:
		return engine_hello(link, message, err);
	case MESSAGE_REQUEST:
		engine_request(link, message);
		return 0;
	case MESSAGE_PART:
		received_part(link, message);
		return 0;
	case MESSAGE_ASK:
	case MESSAGE_FAIL:
		received_answer(link, message);
		return 0;
	case MESSAGE_CANCEL:
		engine_cancel(link, message->cancel.id);
		return 0;
	case MESSAGE_PROBE:
		engine_probe(link, message);
		return 0;
	case MESSAGE_BAD:
		received_bad(engine, &message->bad);
		return 0;
	case MESSAGE_WELCOME:
	case MESSAGE_MEMBERS:
		received_from_origin(link, message);
		return 0;
	case MESSAGE_JOIN:
	case MESSAGE_HEARTBEAT:
	case MESSAGE_TOUCHES:
	case MESSAGE_LEAVE:
		break;
	}
	return err_raise(
		err, ERR_CORRUPT, "link: message %d makes no sense to a node", (int)message->type);
}

void engine_writable(struct engine_link *link, uint64_t now_us)
{
	link->engine->now_us = now_us;
}

void engine_mirror_part(
	struct engine_link *link, uint32_t id, const void *bytes, uint32_t len, uint64_t now_us)
{
	struct attempt *attempt = engine_attempt_find(link, id);
	engine_heard(link, now_us);
	if (attempt != NULL)
		engine_part(attempt, attempt->received, bytes, len);
}

void engine_mirror_end(struct engine_link *link, uint32_t id, enum mirror_end how, uint64_t now_us)
{
	struct engine *engine = link->engine;
	struct attempt *attempt = engine_attempt_find(link, id);
	engine_heard(link, now_us);
	if (how == MIRROR_FAILED)
		engine_quarantine(engine, link->peer);
	if (attempt != NULL)
		engine_attempt_failed(attempt);
}

int engine_member_found(
	struct engine *engine, const struct member *member, uint64_t now_us, struct err *err)
{
	engine->now_us = now_us;
	engine_set_member(engine, member, true);
	engine->dirty = true;
	return engine_peer_find(engine, &member->id) != NULL ||
			node_id_equal(&member->id, &engine->params.self.id)
		? 0
		: err_oom(err);
}

void engine_member_lost(struct engine *engine, const struct node_id *id, uint64_t now_us)
{
	engine->now_us = now_us;
	engine_unset_member(engine, id);
}

/* The best of late: an interval without wishes says nothing about the network. */
static void measure_rate(struct engine *engine)
{
	uint64_t passed = engine->now_us - engine->rate_us;
	if (passed == 0)
		return;
	uint64_t rate = engine->rate_bytes * 1000000 / passed;
	engine->rate -= engine->rate / 32;
	if (rate > engine->rate)
		engine->rate = rate;
	engine->rate_bytes = 0;
	engine->rate_us = engine->now_us;
}

uint64_t engine_tick(struct engine *engine, uint64_t now_us)
{
	engine->now_us = now_us;
	if (now_us >= engine->due_us) {
		engine->due_us = UINT64_MAX;
		engine_timeouts(engine);
		if (engine->due_us < now_us + TIMEOUTS_US)
			engine->due_us = now_us + TIMEOUTS_US;
	}
	if (now_us >= engine->housekeeping_us) {
		engine->housekeeping_us = now_us + HOUSEKEEPING_US;
		measure_rate(engine);
		engine_housekeeping(engine);
	}
	engine_schedule(engine);
	engine_flush_all(engine);
	uint64_t next = engine_pump(engine);
	if (engine->due_us < next)
		next = engine->due_us;
	return engine->housekeeping_us < next ? engine->housekeeping_us : next;
}

void engine_tell_step(struct engine *engine, const char *step, unsigned percent)
{
	size_t len = strnlen(step, sizeof(engine->step) - 1);
	if (strncmp(engine->step, step, sizeof(engine->step) - 1) != 0)
		engine->touches_before = engine->touches.len;
	memcpy(engine->step, step, len);
	engine->step[len] = '\0';
	engine->percent = percent <= 100 ? percent : 100;
	engine->news = true;
}

void engine_tell_counter(struct engine *engine, enum message_counter which, uint64_t value)
{
	engine->counters[which] = value;
}

int engine_tell_touch(struct engine *engine, const struct chunk *chunk, struct err *err)
{
	if (engine->touches.len >= TOUCHES_MAX)
		return 0;
	engine->news |= engine->touches.len >= TOUCHES_NEWS;
	return vec_push(&engine->touches, *chunk, err);
}

/* A connection ends with the address that it was made from, but that shows only when the other
 * side's silence has lasted for many seconds. */
static void cut_links(struct engine *engine)
{
	for (struct engine_link *link = engine->links, *next; link != NULL; link = next) {
		next = link->next;
		if (link->peer == NULL || !link->peer->mirror)
			engine_link_close(link);
	}
	engine->housekeeping_us = engine->now_us; /* which dials the origin */
}

void engine_readdress(struct engine *engine, const struct node_address *address, uint64_t now_us)
{
	static const struct node_address none;
	const struct node_address *old = &engine->params.self.address;
	bool moved = memcmp(old->ip, none.ip, sizeof(none.ip)) != 0 &&
		memcmp(old->ip, address->ip, sizeof(none.ip)) != 0;
	engine->now_us = now_us;
	engine->params.self.address = *address;
	if (!engine->params.peers)
		engine->params.self.address.port = 0;
	engine->homes_stale = true;
	if (moved)
		cut_links(engine);
	else if (engine->tracker != NULL && engine->tracker->link != NULL &&
		engine->tracker->link->up)
		engine_join(engine, engine->tracker->link);
}

void engine_stat(const struct engine *engine, struct swarm_stat *ret)
{
	*ret = engine->stat;
	ret->members = engine->members_len + 1;
	ret->epoch = engine->epoch;
	ret->tracked = engine->tracker != NULL;
	for (const struct engine_link *link = engine->links; link != NULL; link = link->next)
		ret->links += link->up && link->peer != NULL && link->peer->origin < 0;
	for (size_t i = 0; i < engine->origins.len; i++)
		ret->origin_up |= engine_usable(engine, engine->origins.items[i]);
	for (int p = 0; p < SWARM_PRIORITIES; p++)
		ret->waiting += engine->idle_len[p];
}
