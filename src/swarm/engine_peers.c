/* SPDX-License-Identifier: MIT */
/*
 * Who there is: members by the tracker's word (or mDNS), links by what really works. A peer that
 * fails is put aside at once and for twice as long each time; a link may be used by both sides
 * whoever opened it, so a node behind a firewall still gives.
 */
#include "swarm/engine_parts.h"

#include <string.h>

#define PEERS_MAX 16384
#define STRANGERS_MAX (PEERS_MAX / 2) /* whoever says a name; the rest is for members */
#define QUARANTINE_US 1000000
#define QUARANTINE_MAX_US 60000000
#define ORIGIN_RETRY_MAX_US 10000000
#define DIAL_MIN_MS 1200 /* a lost SYN is repeated after a second (RFC 6298) */
#define DIAL_MAX_MS 3000
#define ORIGIN_PATIENCE_US 500000 /* dialling for longer, the next origin is dialled, too */
#define HELLO_US 5000000          /* for an accepted link to say who it is */
#define STUCK_US 10000000         /* no dial takes so long; its end was lost */
#define LINKS_MAX 2048            /* with those that others opened */
#define MUTE_MAX 256              /* accepted and still without HELLO */
#define LINKS_KEPT 64             /* idle ones beyond these are closed */
#define LINK_IDLE_US 60000000
#define IDLE_CHECK_US 1000000

static struct peer **peer_head(struct engine *engine, const struct node_id *id)
{
	return &engine->peer_heads[rendezvous_weight(0, id) % PEER_HEADS];
}

struct peer *engine_peer_find(struct engine *engine, const struct node_id *id)
{
	struct peer *peer = *peer_head(engine, id);
	while (peer != NULL && !node_id_equal(&peer->member.id, id))
		peer = peer->hash_next;
	return peer;
}

static struct peer *peer_get(struct engine *engine, const struct node_id *id, size_t max)
{
	struct peer *peer = engine_peer_find(engine, id);
	if (peer != NULL || engine->peers_len >= max)
		return peer;
	peer = calloc(1, sizeof(*peer));
	if (peer == NULL)
		return NULL;
	peer->member.id = *id;
	peer->origin = -1;
	struct peer **head = peer_head(engine, id);
	peer->hash_next = *head;
	*head = peer;
	peer->next = engine->peers;
	engine->peers = peer;
	engine->peers_len++;
	return peer;
}

struct peer *engine_peer_get(struct engine *engine, const struct node_id *id)
{
	return peer_get(engine, id, STRANGERS_MAX);
}

bool engine_is_self(const struct engine *engine, const struct peer *peer)
{
	return peer->origin < 0 && node_id_equal(&peer->member.id, &engine->params.self.id);
}

bool engine_usable(const struct engine *engine, const struct peer *peer)
{
	if (peer->banned || peer->quarantine_us > engine->now_us)
		return false;
	if (peer->origin >= 0)
		return peer->mirror || (peer->link != NULL && peer->link->up);
	if (peer->link != NULL)
		return !peer->link->is_silent;
	return !engine_is_self(engine, peer) && peer->member.address.port != 0;
}

bool engine_dialable(const struct engine *engine, const struct peer *peer)
{
	return peer->origin < 0 && peer->is_member && peer->member.address.port != 0 &&
		peer->unreachable_us == 0 && engine_usable(engine, peer);
}

void engine_set_member(struct engine *engine, const struct member *member, bool older)
{
	if (node_id_equal(&member->id, &engine->params.self.id))
		return;
	struct peer *peer = peer_get(engine, &member->id, PEERS_MAX);
	if (peer == NULL)
		return;
	if (peer->is_member)
		engine->inventories -= engine_has_inventory(&peer->member);
	else
		engine->members_len++, peer->older = older;
	if (!node_address_equal(&peer->member.address, &member->address))
		peer->quarantine_us = peer->unreachable_us = 0;
	peer->member = *member;
	peer->is_member = true;
	engine->inventories += engine_has_inventory(member);
	engine->homes_stale = true;
}

void engine_unset_member(struct engine *engine, const struct node_id *id)
{
	struct peer *peer = engine_peer_find(engine, id);
	if (peer == NULL || !peer->is_member)
		return;
	engine->inventories -= engine_has_inventory(&peer->member);
	engine->members_len--;
	peer->is_member = false;
	engine->homes_stale = true;
}

const struct homes *engine_homes(struct engine *engine)
{
	if (!engine->homes_stale)
		return &engine->homes;
	engine->homes_stale = false;
	engine->homes = (struct homes){0};
	const struct member *self = &engine->params.self;
	if (self->address.port != 0)
		homes_add(&engine->homes, self);
	for (struct peer *peer = engine->peers; peer != NULL; peer = peer->next)
		if (peer->is_member && peer->member.address.port != 0 && !peer->banned &&
			strcmp(peer->member.site, self->site) == 0)
			homes_add(&engine->homes, &peer->member);
	return &engine->homes;
}

void engine_quarantine(struct engine *engine, struct peer *peer)
{
	uint64_t most = peer->origin >= 0 ? ORIGIN_RETRY_MAX_US : QUARANTINE_MAX_US;
	uint64_t wait = QUARANTINE_US << (peer->failures < 8 ? peer->failures : 8);
	if (wait > most)
		wait = most;
	engine->news |= ++peer->failures == SUSPECT_FAILURES;
	peer->quarantine_us = engine->now_us + wait;
	engine->stat.quarantines++;
}

void engine_release(struct engine *engine, struct peer *peer)
{
	peer->quarantine_us = 0;
	if (peer->failures > 0)
		peer->failures--;
	engine->dirty = true;
}

void engine_send(struct engine_link *link, const struct message *message)
{
	struct engine *engine = link->engine;
	engine->stat.control_bytes += message_size(message);
	link->used_us = engine->now_us;
	engine->ops->send(link, message, engine->data);
}

static struct engine_link *link_new(struct engine *engine, struct peer *peer)
{
	struct engine_link *link = calloc(1, sizeof(*link));
	if (link == NULL)
		return NULL;
	link->engine = engine;
	link->peer = peer;
	link->opened_us = link->used_us = engine->now_us;
	link->batch.type = MESSAGE_REQUEST;
	upload_queue_init(&engine->uploads, &link->queue, link);
	link->next = engine->links;
	if (link->next != NULL)
		link->next->prev = link;
	engine->links = link;
	engine->links_len++;
	if (peer != NULL && peer->link == NULL)
		peer->link = link;
	return link;
}

/* Latency may be high everywhere, or the lines full; but a dead neighbour must not cost long. */
static unsigned dial_ms(const struct engine *engine)
{
	uint64_t far = 3 * engine->origin_dial_us, full = engine_echo_max(engine);
	uint64_t ms = (far > full ? far : full) / 1000;
	return ms < DIAL_MIN_MS ? DIAL_MIN_MS : ms > DIAL_MAX_MS ? DIAL_MAX_MS : (unsigned)ms;
}

struct engine_link *engine_link_to(struct engine *engine, struct peer *peer)
{
	if (peer->link != NULL)
		return peer->link;
	struct engine_link *link = link_new(engine, peer);
	if (link == NULL)
		return NULL;
	if (peer->mirror)
		link->up = true;
	else if (peer->origin >= 0)
		engine->ops->dial_origin(link, (unsigned)peer->origin, engine->data);
	else
		engine->ops->dial(link, &peer->member.address, dial_ms(engine), engine->data);
	return link;
}

/* Another link to the same peer, when both dialled each other. */
static struct engine_link *other_link(const struct engine_link *gone)
{
	for (struct engine_link *link = gone->engine->links; link != NULL; link = link->next)
		if (link != gone && link->peer == gone->peer && link->up)
			return link;
	return NULL;
}

static void link_forget(struct engine_link *link)
{
	struct engine *engine = link->engine;
	struct peer *peer = link->peer;
	*(link->prev != NULL ? &link->prev->next : &engine->links) = link->next;
	if (link->next != NULL)
		link->next->prev = link->prev;
	engine->links_len--;
	engine->mute_len -= peer == NULL;
	if (peer != NULL && peer->link == link)
		peer->link = other_link(link);
	if (peer != NULL && engine->tracker == peer)
		engine->tracker = NULL;
	link->up = false;
	while (link->gives != NULL)
		engine_give_free(link->gives);
	while (link->attempts != NULL)
		engine_attempt_failed(link->attempts);
	engine_batch_drop(link);
	free(link);
	engine->dirty = true;
}

void engine_link_close(struct engine_link *link)
{
	link->engine->ops->hang_up(link, link->engine->data);
	link_forget(link);
}

void engine_links_free(struct engine *engine)
{
	while (engine->links != NULL)
		engine_link_close(engine->links);
}

/* Requests fail over when the links go, so all links of a banned peer go. */
void engine_ban(struct engine *engine, struct peer *peer)
{
	peer->banned = true;
	engine->news = true; /* others shall know soon */
	engine->homes_stale = true;
	for (struct engine_link *link = engine->links, *next; link != NULL; link = next) {
		next = link->next;
		if (link->peer == peer)
			link->is_silent = engine->any_silent = true; /* closed when it is safe */
	}
	engine_due(engine, engine->now_us);
}

static void send_hello(struct engine_link *link)
{
	struct engine *engine = link->engine;
	struct message hello = {.type = MESSAGE_HELLO, .hello = {.member = engine->params.self}};
	memcpy(hello.hello.token, engine->token, sizeof(hello.hello.token));
	/* A tracker publishes inventories as far as they are news; without one, peers tell them. */
	if (!engine->has_token)
		engine->ops->inventory(hello.hello.member.inventory, engine->data);
	engine_send(link, &hello);
}

void engine_join(struct engine *engine, struct engine_link *link)
{
	struct message join = {.type = MESSAGE_JOIN,
		.join = {.member = engine->params.self,
			.tracker = engine->tracker_instance,
			.epoch = engine->epoch,
			.serial = engine->params.serial,
			.system = engine->system,
			.version = engine->version}};
	memcpy(join.join.mac, engine->params.mac, sizeof(join.join.mac));
	engine->ops->inventory(join.join.member.inventory, engine->data);
	engine_send(link, &join);
	engine->tracker = link->peer;
}

int engine_link_accepted(struct engine *engine, void *user, uint64_t now_us,
	struct engine_link **ret, struct err *err)
{
	engine->now_us = now_us;
	if (engine->links_len >= LINKS_MAX || engine->mute_len >= MUTE_MAX)
		return err_raise(err, ERR_LIMIT,
			"too many links: %u > max %u, %u strangers > max %u", engine->links_len,
			LINKS_MAX, engine->mute_len, MUTE_MAX);
	struct engine_link *link = link_new(engine, NULL);
	if (link == NULL)
		return err_oom(err);
	engine->mute_len++;
	link->user = user;
	link->up = true;
	link->accepted = true;
	link->up_us = now_us;
	send_hello(link);
	*ret = link;
	return 0;
}

void engine_link_up(struct engine_link *link, uint64_t now_us)
{
	struct engine *engine = link->engine;
	struct peer *peer = link->peer;
	engine->now_us = now_us;
	link->up = true;
	link->up_us = now_us;
	peer->unreachable_us = 0;
	engine->dirty = true;
	if (peer->origin < 0) {
		send_hello(link);
	} else {
		engine->origin_dial_us = now_us - link->opened_us;
		peer->failures = 0;
		if (engine->tracker == NULL || engine->tracker->origin > peer->origin)
			engine_join(engine, link);
	}
	engine_flush(link);
}

void engine_link_down(struct engine_link *link, enum link_end how, uint64_t now_us)
{
	struct engine *engine = link->engine;
	struct peer *peer = link->peer;
	engine->now_us = now_us;
	if (how == LINK_MIRROR && peer != NULL && peer->origin >= 0) {
		peer->mirror = true;
		peer->failures = 0;
		link->up = true;
		engine->dirty = true;
		return;
	}
	if (peer != NULL && how == LINK_GARBAGE)
		peer->corrupt++;
	if (peer != NULL && (!link->accepted || link->attempts != NULL))
		engine_quarantine(engine, peer);
	if (peer != NULL && peer->origin < 0 && !link->up)
		peer->unreachable_us = now_us;
	link_forget(link);
}

static bool token_is_good(const struct engine *engine, const uint8_t token[16])
{
	return !engine->has_token || memcmp(token, engine->token, 16) == 0 ||
		memcmp(token, engine->token_before, 16) == 0;
}

int engine_hello(struct engine_link *link, const struct message *message, struct err *err)
{
	struct engine *engine = link->engine;
	const struct member *member = &message->hello.member;
	char text[NODE_ADDRESS_TEXT_SIZE];
	if (!token_is_good(engine, message->hello.token))
		return err_raise(err, ERR_UNTRUSTED, "node at %s is not of this swarm",
			node_address_text(&member->address, text));
	if (link->peer != NULL && !node_id_equal(&link->peer->member.id, &member->id))
		return err_raise(err, ERR_UNTRUSTED, "another node has the address %s now",
			node_address_text(&member->address, text));
	struct peer *peer = engine_peer_get(engine, &member->id);
	if (peer == NULL || peer->banned || engine_is_self(engine, peer))
		return err_raise(err, ERR_UNTRUSTED, "node at %s is not welcome",
			node_address_text(&member->address, text));
	engine->mute_len -= link->peer == NULL;
	link->peer = peer;
	if (!peer->is_member) {
		peer->member = *member;
	} else { /* who was found by mDNS was found without one */
		engine->inventories -= engine_has_inventory(&peer->member);
		memcpy(peer->member.inventory, member->inventory, INVENTORY_SIZE);
		engine->inventories += engine_has_inventory(member);
	}
	if (peer->link == NULL)
		peer->link = link;
	if (!link->accepted)
		return 0;
	/* It has just connected to us, so its way to us works; what else was wrong with it may
	 * still be. */
	if (peer->unreachable_us != 0)
		peer->quarantine_us = 0;
	engine->dirty = true;
	return 0;
}

void engine_welcome(struct engine_link *link, const struct message *message)
{
	struct engine *engine = link->engine;
	if (link->peer != engine->tracker)
		return;
	memcpy(engine->token_before, engine->has_token ? engine->token : message->welcome.token,
		sizeof(engine->token));
	memcpy(engine->token, message->welcome.token, sizeof(engine->token));
	engine->has_token = true;
	engine->tracker_instance = message->welcome.tracker;
	engine->heartbeat_us = 1000 * (uint64_t)message->welcome.heartbeat_ms;
	if (engine->heartbeat_us < 100000)
		engine->heartbeat_us = 100000;
	engine->next_heartbeat_us = engine->now_us + engine->heartbeat_us;
	if (!message->welcome.all)
		return;
	for (struct peer *peer = engine->peers; peer != NULL; peer = peer->next)
		engine_unset_member(engine, &peer->member.id);
}

void engine_members(struct engine *engine, const struct message *message)
{
	bool first = message->members.from == 0;
	VEC_FOREACH(member, &message->members.came)
		engine_set_member(engine, member, first);
	VEC_FOREACH(id, &message->members.gone)
		engine_unset_member(engine, id);
	engine->epoch = message->members.to;
	engine->dirty = true;
}

/* The best origin is always wanted; the next ones as long as no better one answers. */
static void dial_origins(struct engine *engine)
{
	VEC_FOREACH(origin, &engine->origins) {
		struct peer *peer = *origin;
		if (peer->link == NULL && peer->quarantine_us <= engine->now_us)
			(void)engine_link_to(engine, peer);
		bool up = peer->link != NULL && peer->link->up &&
			peer->quarantine_us <= engine->now_us;
		bool hopeful = peer->link != NULL && !peer->link->up &&
			engine->now_us - peer->link->opened_us < ORIGIN_PATIENCE_US;
		if (up || hopeful)
			return;
	}
}

static void close_idle(struct engine *engine)
{
	for (struct engine_link *link = engine->links, *next; link != NULL; link = next) {
		next = link->next;
		bool mute = link->peer == NULL && engine->now_us - link->opened_us > HELLO_US;
		bool idle = link->peer != NULL && link->peer->origin < 0 && !link->accepted &&
			link->attempts == NULL && link->gives == NULL &&
			engine->now_us - link->used_us > LINK_IDLE_US &&
			engine->links_len > LINKS_KEPT;
		bool stuck = !link->up && engine->now_us - link->opened_us > STUCK_US;
		if (stuck && link->peer != NULL)
			engine_quarantine(engine, link->peer);
		if (mute || idle || stuck)
			engine_link_close(link);
	}
}

void engine_housekeeping(struct engine *engine)
{
	dial_origins(engine);
	if (engine->now_us >= engine->idle_us) {
		engine->idle_us = engine->now_us + IDLE_CHECK_US;
		close_idle(engine);
	}
	engine_beat(engine);
}
