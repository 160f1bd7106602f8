/* SPDX-License-Identifier: MIT */
/*
 * Writing the link protocol. One description of each message's fields, `fields()`, serves to
 * measure it and to write it; reading (message_decode.c) is its mirror image. Nothing here knows
 * what a message is good for.
 */
#include "swarm/frame.h"

#include "base/bytes.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const uint8_t inventory_none[INVENTORY_SIZE];

static bool is_ipv4(const struct node_address *address)
{
	return memcmp(address->ip, frame_ipv4_prefix, sizeof(frame_ipv4_prefix)) == 0;
}

/* Counts, and writes when there is a buffer. */
struct writer {
	uint8_t *out; /* NULL: only count */
	size_t len;
	const char *too_long; /* what was beyond its bound, or NULL */
};

static void w_bytes(struct writer *w, const void *data, size_t size)
{
	if (w->out != NULL && size > 0)
		memcpy(w->out + w->len, data, size);
	w->len += size;
}

static void w_u8(struct writer *w, uint8_t v)
{
	w_bytes(w, &v, 1);
}

static void w_u16(struct writer *w, uint16_t v)
{
	uint8_t bytes[2];
	put_le16(bytes, v);
	w_bytes(w, bytes, sizeof(bytes));
}

static void w_u32(struct writer *w, uint32_t v)
{
	uint8_t bytes[4];
	put_le32(bytes, v);
	w_bytes(w, bytes, sizeof(bytes));
}

static void w_u64(struct writer *w, uint64_t v)
{
	uint8_t bytes[8];
	put_le64(bytes, v);
	w_bytes(w, bytes, sizeof(bytes));
}

static void w_text(struct writer *w, const char *text)
{
	size_t len = text != NULL ? strlen(text) : 0;
	if (len > LINK_TEXT_MAX)
		w->too_long = "text";
	w_u8(w, (uint8_t)len);
	w_bytes(w, text, len);
}

static void w_count(struct writer *w, size_t count, size_t max, const char *what)
{
	if (count > max)
		w->too_long = what;
	w_u16(w, (uint16_t)count);
}

/* What follows is four bytes of address or sixteen, as its flags said. */
static void w_address(struct writer *w, const struct node_address *address)
{
	bool ipv4 = is_ipv4(address);
	w_bytes(w, address->ip + (ipv4 ? 12 : 0), ipv4 ? 4 : 16);
	w_u16(w, address->port);
}

static void w_member(struct writer *w, const struct member *member)
{
	bool ipv4 = is_ipv4(&member->address);
	bool inventory = memcmp(member->inventory, inventory_none, INVENTORY_SIZE) != 0;
	w_bytes(w, member->id.bytes, sizeof(member->id.bytes));
	w_u8(w, (uint8_t)((ipv4 ? MEMBER_IPV4 : 0) | (inventory ? MEMBER_INVENTORY : 0)));
	w_address(w, &member->address);
	w_text(w, member->site);
	if (inventory)
		w_bytes(w, member->inventory, INVENTORY_SIZE);
}

/* `before`: the item before, whose object is not said again; NULL: the first. */
static void w_item(
	struct writer *w, const struct chunk *item, const struct chunk *before, bool place)
{
	bool same = place && before != NULL && digest_equal(&item->object, &before->object);
	w_bytes(w, item->digest.bytes, DIGEST_SIZE);
	w_u32(w, item->len | (item->is_private ? ITEM_PRIVATE : 0) | (same ? ITEM_SAME : 0));
	if (!place)
		return;
	if (!same)
		w_bytes(w, item->object.bytes, DIGEST_SIZE);
	w_u64(w, item->off);
}

static void w_items(struct writer *w, const chunks *items, bool place)
{
	w_count(w, items->len, LINK_ITEMS_MAX, "list of chunks");
	for (size_t i = 0; i < items->len; i++)
		w_item(w, &items->items[i], i > 0 ? &items->items[i - 1] : NULL, place);
}

static void w_ids(struct writer *w, const node_ids *ids, size_t max, const char *what)
{
	w_count(w, ids->len, max, what);
	VEC_FOREACH(id, ids)
		w_bytes(w, id->bytes, sizeof(id->bytes));
}

static void w_heartbeat(struct writer *w, const struct message *m)
{
	w_u64(w, m->heartbeat.epoch);
	w_text(w, m->heartbeat.step);
	w_u8(w, m->heartbeat.percent);
	for (size_t i = 0; i < LINK_COUNTERS; i++)
		w_u64(w, m->heartbeat.counters[i]);
	w_bytes(w, m->heartbeat.inventory, INVENTORY_SIZE);
	w_ids(w, &m->heartbeat.suspects, LINK_SUSPECTS_MAX, "list of suspects");
}

static void w_join(struct writer *w, const struct message *m)
{
	w_member(w, &m->join.member);
	w_bytes(w, m->join.mac, sizeof(m->join.mac));
	w_u64(w, m->join.tracker);
	w_u64(w, m->join.epoch);
	w_u64(w, m->join.serial);
	w_text(w, m->join.system);
	w_text(w, m->join.version);
}

static void w_members(struct writer *w, const struct message *m)
{
	w_u64(w, m->members.from);
	w_u64(w, m->members.to);
	w_count(w, m->members.came.len, LINK_MEMBERS_MAX, "list of members");
	VEC_FOREACH(member, &m->members.came)
		w_member(w, member);
	w_ids(w, &m->members.gone, LINK_MEMBERS_MAX, "list of members");
}

/* The payload. */
static void fields(struct writer *w, const struct message *m)
{
	switch (m->type) {
	case MESSAGE_JOIN:
		w_join(w, m);
		break;
	case MESSAGE_HEARTBEAT:
		w_heartbeat(w, m);
		break;
	case MESSAGE_TOUCHES:
		w_items(w, &m->touches, true);
		break;
	case MESSAGE_LEAVE:
		break;
	case MESSAGE_WELCOME:
		w_bytes(w, m->welcome.token, sizeof(m->welcome.token));
		w_u64(w, m->welcome.tracker);
		w_u32(w, m->welcome.heartbeat_ms);
		w_u8(w, m->welcome.all);
		break;
	case MESSAGE_MEMBERS:
		w_members(w, m);
		break;
	case MESSAGE_HELLO:
		w_bytes(w, m->hello.token, sizeof(m->hello.token));
		w_member(w, &m->hello.member);
		break;
	case MESSAGE_REQUEST:
		w_u32(w, m->request.first);
		w_u32(w, m->request.epoch);
		w_u8(w, m->request.flags);
		w_items(w, &m->request.items, !(m->request.flags & REQUEST_ONLY_HELD));
		break;
	case MESSAGE_PART:
		w_u32(w, m->part.id);
		w_u32(w, m->part.off);
		w_bytes(w, m->part.bytes, m->part.len);
		break;
	case MESSAGE_ASK:
		w_u32(w, m->ask.id);
		w_bytes(w, m->ask.node.bytes, sizeof(m->ask.node.bytes));
		w_u8(w, is_ipv4(&m->ask.address) ? MEMBER_IPV4 : 0);
		w_address(w, &m->ask.address);
		break;
	case MESSAGE_FAIL:
		w_u32(w, m->fail.id);
		w_u8(w, (uint8_t)m->fail.reason);
		w_u32(w, m->fail.retry_ms);
		break;
	case MESSAGE_CANCEL:
		w_u32(w, m->cancel.id);
		break;
	case MESSAGE_BAD:
		w_bytes(w, m->bad.bytes, DIGEST_SIZE);
		break;
	case MESSAGE_PROBE:
		w_u32(w, m->probe.id);
		w_bytes(w, m->probe.node.bytes, sizeof(m->probe.node.bytes));
		w_u8(w, m->probe.hops);
		break;
	}
}

size_t message_size(const struct message *message)
{
	struct writer w = {.out = NULL};
	fields(&w, message);
	return FRAME_HEAD + w.len;
}

int message_encode(const struct message *message, struct buf *out, struct err *err)
{
	struct writer count = {.out = NULL};
	fields(&count, message);
	if (count.too_long != NULL)
		return err_raise(err, ERR_LIMIT, "link: the %s of message %d is too long",
			count.too_long, (int)message->type);
	size_t size = FRAME_HEAD + count.len;
	if (size > LINK_FRAME_MAX)
		return err_raise(
			err, ERR_LIMIT, "link: frame of %zu bytes > max %u", size, LINK_FRAME_MAX);
	uint8_t *frame = buf_reserve(out, size, err);
	if (frame == NULL)
		return -1;
	put_le32(frame, (uint32_t)size - 4);
	frame[4] = (uint8_t)message->type;
	struct writer w = {.out = frame + FRAME_HEAD};
	fields(&w, message);
	out->len += size;
	return 0;
}

void message_done(struct message *message)
{
	switch (message->type) {
	case MESSAGE_JOIN:
		free(message->join.system);
		free(message->join.version);
		break;
	case MESSAGE_HEARTBEAT:
		free(message->heartbeat.step);
		vec_done(&message->heartbeat.suspects);
		break;
	case MESSAGE_TOUCHES:
		vec_done(&message->touches);
		break;
	case MESSAGE_MEMBERS:
		vec_done(&message->members.came);
		vec_done(&message->members.gone);
		break;
	case MESSAGE_REQUEST:
		vec_done(&message->request.items);
		break;
	case MESSAGE_LEAVE:
	case MESSAGE_WELCOME:
	case MESSAGE_HELLO:
	case MESSAGE_PART:
	case MESSAGE_ASK:
	case MESSAGE_FAIL:
	case MESSAGE_CANCEL:
	case MESSAGE_BAD:
	case MESSAGE_PROBE:
		break;
	}
	message->type = MESSAGE_LEAVE;
}

bool node_id_equal(const struct node_id *a, const struct node_id *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool node_address_equal(const struct node_address *a, const struct node_address *b)
{
	return memcmp(a->ip, b->ip, sizeof(a->ip)) == 0 && a->port == b->port;
}

char *node_address_text(const struct node_address *address, char out[NODE_ADDRESS_TEXT_SIZE])
{
	char ip[INET6_ADDRSTRLEN];
	bool ipv4 = memcmp(address->ip, frame_ipv4_prefix, sizeof(frame_ipv4_prefix)) == 0;
	(void)inet_ntop(ipv4 ? AF_INET : AF_INET6, address->ip + (ipv4 ? 12 : 0), ip, sizeof(ip));
	(void)snprintf(out, NODE_ADDRESS_TEXT_SIZE, ipv4 ? "%s:%u" : "[%s]:%u", ip, address->port);
	return out;
}
