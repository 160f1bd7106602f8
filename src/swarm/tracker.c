/* SPDX-License-Identifier: MIT */
/*
 * The origin's answers to requests: a chunk goes out to the first who asks, the others are told
 * whom to ask. What a node says of others is not believed for long: that a holder did not deliver
 * costs that holder its place for this chunk, and the one who says so a token. Membership is in
 * tracker_members.c.
 */
#include "swarm/tracker_parts.h"

#include "base/bytes.h"

#include <string.h>

#define HEARTBEAT_MS 5000
#define LEASES_MAX (1u << 17)
#define GIVES_MAX 2048 /* that wait for one link */
#define FORCE_TOKENS \
	256 /* a node may have; one comes back with each chunk it is given or sent for */
#define BUSY_MS 200

void tracker_send(struct tracker_link *link, const struct message *message)
{
	struct tracker *tracker = link->tracker;
	tracker->stat.control_bytes += message_size(message);
	tracker->ops->send(link->user, message, tracker->data);
}

static bool link_has_room(void *owner)
{
	struct tracker_link *link = owner;
	return link->tracker->ops->has_room(link->user, link->tracker->data);
}

int tracker_new(const struct tracker_params *params, const struct tracker_ops *ops, void *data,
	struct tracker **ret, struct err *err)
{
	struct tracker *tracker = calloc(1, sizeof(*tracker));
	if (tracker == NULL)
		return err_oom(err);
	tracker->params = *params;
	if (tracker->params.heartbeat_ms == 0)
		tracker->params.heartbeat_ms = HEARTBEAT_MS;
	tracker->ops = ops;
	tracker->data = data;
	tracker->uploads.limit = params->uplink;
	tracker->uploads.has_room = link_has_room;
	if (leases_init(&tracker->leases, LEASES_MAX, err) < 0) {
		free(tracker);
		return -1;
	}
	*ret = tracker;
	return 0;
}

struct tracker *tracker_free(struct tracker *tracker)
{
	if (tracker == NULL)
		return NULL;
	while (tracker->links != NULL)
		(void)tracker_link_free(tracker->links, 0);
	leases_done(&tracker->leases);
	vec_done(&tracker->slots);
	free(tracker);
	return NULL;
}

/* Numbers are a place in `slots` and, above, a count that never repeats; never 0. */
static int take_slot(struct tracker *tracker, struct tracker_link *link, struct err *err)
{
	size_t i = 0;
	while (i < tracker->slots.len && tracker->slots.items[i] != NULL)
		i++;
	if (i == tracker->slots.len && vec_push(&tracker->slots, NULL, err) < 0)
		return -1;
	tracker->slots.items[i] = link;
	link->who = ++tracker->generation << 32 | i;
	return 0;
}

struct tracker_link *tracker_link_of(const struct tracker *tracker, uint64_t who)
{
	struct tracker_link *link = tracker->slots.items[who & UINT32_MAX];
	return link != NULL && link->who == who ? link : NULL;
}

int tracker_link_new(struct tracker *tracker, void *user, uint64_t now_us,
	struct tracker_link **ret, struct err *err)
{
	struct tracker_link *link = calloc(1, sizeof(*link));
	if (link == NULL)
		return err_oom(err);
	link->tracker = tracker;
	link->user = user;
	if (take_slot(tracker, link, err) < 0) {
		free(link);
		return -1;
	}
	link->heard_us = now_us;
	link->force_tokens = FORCE_TOKENS;
	upload_queue_init(&tracker->uploads, &link->queue, link);
	link->next = tracker->links;
	if (link->next != NULL)
		link->next->prev = link;
	tracker->links = link;
	tracker->links_len++;
	*ret = link;
	return 0;
}

static void give_free(struct tracker_link *link, struct give *give)
{
	struct lease *lease =
		give->leased ? leases_find(&link->tracker->leases, &give->chunk.digest) : NULL;
	if (lease != NULL)
		lease->giving--;
	struct give **p = &link->gives;
	while (*p != give)
		p = &(*p)->next;
	*p = give->next;
	upload_remove(&give->upload);
	free(give);
}

struct tracker_link *tracker_link_free(struct tracker_link *link, uint64_t now_us)
{
	if (link == NULL)
		return NULL;
	struct tracker *tracker = link->tracker;
	tracker_leave(link, now_us);
	while (link->gives != NULL)
		give_free(link, link->gives);
	*(link->prev != NULL ? &link->prev->next : &tracker->links) = link->next;
	if (link->next != NULL)
		link->next->prev = link->prev;
	tracker->links_len--;
	tracker->slots.items[link->who & UINT32_MAX] = NULL;
	free(link);
	return NULL;
}

static void fail(struct tracker_link *link, uint32_t id, enum fail_reason reason, uint32_t retry_ms)
{
	tracker_send(link,
		&(struct message){.type = MESSAGE_FAIL,
			.fail = {.id = id, .reason = reason, .retry_ms = retry_ms}});
}

static enum swarm_priority priority_of(uint8_t flags)
{
	if (flags & REQUEST_DEMAND)
		return SWARM_DEMAND;
	return flags & REQUEST_BULK ? SWARM_BULK : SWARM_PREFETCH;
}

static void give(struct tracker_link *link, uint32_t id, const struct chunk *chunk, uint8_t flags,
	struct lease *lease)
{
	struct tracker *tracker = link->tracker;
	struct give *new = link->queue.len < GIVES_MAX ? calloc(1, sizeof(*new)) : NULL;
	if (new == NULL) {
		fail(link, id, FAIL_BUSY, BUSY_MS);
		return;
	}
	new->chunk = *chunk;
	new->leased = lease != NULL;
	new->upload = (struct upload){
		.id = id, .priority = priority_of(flags), .len = chunk->len, .avail = chunk->len};
	new->next = link->gives;
	link->gives = new;
	upload_add(&link->queue, &new->upload);
	if (lease != NULL) {
		lease->giving++;
		lease->given++;
		if (link->joined)
			(void)lease_add(lease, link->who, 0);
	}
	tracker->stat.chunks++;
}

bool tracker_can_serve(const struct tracker_link *link)
{
	return link->joined && link->member.address.port != 0 && link->suspected_us == 0;
}

/* How far a holder is from somebody: not at all suitable; of another site; by their ids, so that
 * the same ones meet again and links are used twice. */
static uint64_t rank(uint64_t who, void *data)
{
	const struct tracker_link *asker = data;
	const struct tracker_link *holder = tracker_link_of(asker->tracker, who);
	if (holder == NULL || holder == asker || !tracker_can_serve(holder))
		return UINT64_MAX;
	uint64_t distance = get_le64(asker->member.id.bytes) ^ get_le64(holder->member.id.bytes);
	bool away = strcmp(asker->member.site, holder->member.site) != 0;
	return distance >> 2 | (uint64_t)away << 62;
}

/* Holders that vanished have no lease any more. */
static void free_leases(struct tracker *tracker, struct lease *lease)
{
	for (size_t i = 0; i < LEASE_HOLDERS; i++) {
		struct holder *holder = &lease->holders[i];
		if (holder->who != 0 && tracker_link_of(tracker, holder->who) == NULL) {
			*holder = (struct holder){0};
			tracker->stat.lease_frees++;
		}
	}
}

/* True when the origin itself gives now, since the ones it named did not. */
static bool forced(struct tracker_link *link, struct lease *lease)
{
	struct holder *self = lease_holder(lease, link->who);
	link->tracker->stat.forced++;
	link->force_tokens--;
	if (self == NULL)
		return false;
	lease_drop(lease, self->parent);
	self->parent = 0;
	return ++self->forced > LEASE_FANOUT;
}

static void request_item(
	struct tracker_link *link, uint32_t id, const struct chunk *chunk, uint8_t flags)
{
	struct tracker *tracker = link->tracker;
	if (!tracker->ops->has(chunk, tracker->data)) {
		fail(link, id, FAIL_NOT_HELD, 0);
		return;
	}
	struct lease *lease = chunk->is_private || !link->joined
		? NULL
		: leases_get(&tracker->leases, &chunk->digest);
	if (lease == NULL) {
		give(link, id, chunk, flags, NULL);
		return;
	}
	bool force = flags & REQUEST_FORCE;
	if (force && link->force_tokens <= 0) {
		link->force_tokens++;
		fail(link, id, FAIL_BUSY, BUSY_MS);
		return;
	}
	free_leases(tracker, lease);
	if (force && forced(link, lease)) {
		give(link, id, chunk, flags, lease);
		return;
	}
	if (!force && link->force_tokens < FORCE_TOKENS)
		link->force_tokens++;
	/* Who was sent to one in vain is sent to one that has it for certain, when there is one. */
	struct lease_asker asker = {
		.who = link->who, .complete = force, .rank = rank, .data = link};
	struct holder *holder = lease_pick(lease, &asker);
	asker.complete = false;
	if (holder == NULL && force)
		holder = lease_pick(lease, &asker);
	if (holder == NULL) {
		give(link, id, chunk, flags, lease);
		return;
	}
	holder->sent++;
	struct member *member = &tracker_link_of(tracker, holder->who)->member;
	(void)lease_add(lease, link->who, holder->who);
	tracker->stat.redirects++;
	tracker_send(link,
		&(struct message){.type = MESSAGE_ASK,
			.ask = {.id = id, .node = member->id, .address = member->address}});
}

static struct give *give_find(struct tracker_link *link, uint32_t id)
{
	struct give *give = link->gives;
	while (give != NULL && give->upload.id != id)
		give = give->next;
	return give;
}

static void request(struct tracker_link *link, const struct message *message)
{
	uint32_t id = message->request.first;
	uint8_t flags = message->request.flags;
	VEC_FOREACH(item, &message->request.items) {
		struct give *under_way = give_find(link, id);
		if (under_way != NULL)
			upload_raise(&under_way->upload, priority_of(flags));
		else if (flags & REQUEST_ONLY_HELD)
			fail(link, id, FAIL_NOT_HELD, 0); /* no place was told */
		else
			request_item(link, id, item, flags);
		id++;
	}
}

static void cancel(struct tracker_link *link, uint32_t id)
{
	struct give *give = give_find(link, id);
	if (give == NULL)
		return;
	struct lease *lease = leases_find(&link->tracker->leases, &give->chunk.digest);
	if (lease != NULL)
		lease_drop(lease, link->who);
	give_free(link, give);
}

int tracker_receive(
	struct tracker_link *link, const struct message *message, uint64_t now_us, struct err *err)
{
	link->heard_us = now_us;
	link->tracker->stat.control_bytes += message_size(message);
	switch (message->type) {
	case MESSAGE_JOIN:
		return tracker_join(link, message, now_us, err);
	case MESSAGE_HEARTBEAT:
		tracker_heartbeat(link, message, now_us);
		return 0;
	case MESSAGE_LEAVE:
		tracker_leave(link, now_us);
		return 0;
	case MESSAGE_REQUEST:
		request(link, message);
		return 0;
	case MESSAGE_CANCEL:
		cancel(link, message->cancel.id);
		return 0;
	case MESSAGE_TOUCHES:
	case MESSAGE_BAD:   /* our objects are verified when they are made */
	case MESSAGE_PROBE: /* who waits for us waits for nobody else */
		return 0;
	case MESSAGE_WELCOME:
	case MESSAGE_MEMBERS:
	case MESSAGE_HELLO:
	case MESSAGE_PART:
	case MESSAGE_ASK:
	case MESSAGE_FAIL:
		break;
	}
	return err_raise(err, ERR_CORRUPT, "link: message %d makes no sense to an origin",
		(int)message->type);
}

/* It has the chunk as soon as it is through the network. */
static void remember(const struct give *give, const struct tracker_link *link)
{
	struct lease *lease =
		give->leased ? leases_find(&link->tracker->leases, &give->chunk.digest) : NULL;
	struct holder *holder = lease != NULL ? lease_holder(lease, link->who) : NULL;
	if (holder != NULL)
		holder->complete = true;
}

/* Gives parts as long as links have room and the limit allows it. */
static uint64_t pump(struct tracker *tracker, uint64_t now_us)
{
	for (;;) {
		uint64_t later;
		struct upload *upload = uploads_next(&tracker->uploads, now_us, &later);
		if (upload == NULL)
			return later;
		struct give *give = (struct give *)upload;
		struct tracker_link *link = upload->queue->owner;
		uint32_t len = upload->len - upload->off;
		if (len > LINK_PART_SIZE)
			len = LINK_PART_SIZE;
		if (!tracker->ops->part(link->user, upload->id, &give->chunk, upload->off, len,
			    tracker->data)) {
			uint32_t id = upload->id;
			cancel(link, id);
			fail(link, id, FAIL_NOT_HELD, 0);
			continue;
		}
		tracker->stat.bytes += len;
		uploads_gave(&tracker->uploads, upload, len, now_us);
		if (upload->off == upload->len) {
			remember(give, link);
			give_free(link, give);
		}
	}
}

void tracker_writable(struct tracker_link *link, uint64_t now_us)
{
	(void)pump(link->tracker, now_us);
}

uint64_t tracker_tick(struct tracker *tracker, uint64_t now_us)
{
	uint64_t publish = tracker_publish(tracker, now_us);
	uint64_t parts = pump(tracker, now_us);
	return parts < publish ? parts : publish;
}

bool tracker_link_is_dead(const struct tracker_link *link, uint64_t now_us)
{
	return link->replaced ||
		now_us - link->heard_us > 3000 * (uint64_t)link->tracker->params.heartbeat_ms;
}

const struct member *tracker_link_member(const struct tracker_link *link)
{
	return link->joined ? &link->member : NULL;
}

void tracker_stat(const struct tracker *tracker, struct tracker_stat *ret)
{
	*ret = tracker->stat;
	ret->epoch = tracker->epoch;
	ret->links = tracker->links_len;
	ret->members = tracker->members_len;
	ret->leases = tracker->leases.len;
}
