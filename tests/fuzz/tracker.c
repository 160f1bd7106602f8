/* SPDX-License-Identifier: MIT */
/*
 * An origin among nodes that say what they like: behind a byte that chooses, the input is who says
 * what when. Nobody is told what was not asked for, nobody is sent to somebody who is not there or
 * to himself, parts come in order, while there is room, and in the end all is answered.
 */
#include "target.h"

#include "swarm/tracker.h"

#include "base/mem.h"

#include <string.h>

#define LINKS 6u
#define ASKS 64u
#define CHUNK_LEN (LINK_PART_SIZE + 1000)

/* A request that is not answered yet. */
struct ask {
	uint32_t id, given;
};

struct node {
	struct tracker_link *link; /* NULL: not connected */
	bool joined, full;
	struct member member;
	struct ask asks[ASKS];
	unsigned asks_len;
};

struct world {
	const uint8_t *at, *end; /* what is left of the input */
	uint64_t now_us;
	struct tracker *tracker;
	struct node nodes[LINKS];
	bool gone; /* no object can be read any more */
	unsigned chunks;
};

static uint8_t next(struct world *w)
{
	return w->at < w->end ? *w->at++ : 0;
}

static struct ask *find(struct node *node, uint32_t id)
{
	for (unsigned i = 0; i < node->asks_len; i++)
		if (node->asks[i].id == id)
			return &node->asks[i];
	return NULL;
}

static void forget(struct node *node, struct ask *ask)
{
	if (ask != NULL)
		*ask = node->asks[--node->asks_len];
}

static void check_named(const struct world *w, const struct node *asker, const struct message *m)
{
	bool there = false;
	for (unsigned i = 0; i < LINKS; i++) {
		const struct node *node = &w->nodes[i];
		there |= node != asker && node->joined && node->member.address.port != 0 &&
			node_id_equal(&node->member.id, &m->ask.node) &&
			node_address_equal(&node->member.address, &m->ask.address);
	}
	expect(there);
}

static void op_send(void *link, const struct message *m, void *data)
{
	struct err err = ERR_INIT;
	struct node *node = link;
	AUTO_BUF frame = {0};
	expect(node->link != NULL && message_encode(m, &frame, &err) == 0);
	switch ((int)m->type) {
	case MESSAGE_WELCOME:
	case MESSAGE_MEMBERS:
		expect(node->joined);
		return;
	case MESSAGE_ASK:
		check_named(data, node, m);
		expect(find(node, m->ask.id) != NULL);
		forget(node, find(node, m->ask.id));
		return;
	case MESSAGE_FAIL:
		expect(find(node, m->fail.id) != NULL);
		forget(node, find(node, m->fail.id));
		return;
	default:
		expect(false);
	}
}

static bool op_has(const struct chunk *chunk, void *data)
{
	(void)data;
	return chunk->digest.bytes[0] != 7;
}

static bool op_part(
	void *link, uint32_t id, const struct chunk *chunk, uint32_t off, uint32_t len, void *data)
{
	struct world *w = data;
	struct node *node = link;
	struct ask *ask = find(node, id);
	expect(node->link != NULL && !node->full && ask != NULL && off == ask->given);
	expect(op_has(chunk, data));
	expect(len > 0 && len <= LINK_PART_SIZE && len <= chunk->len - off);
	if (w->gone)
		return false;
	ask->given += len;
	if (ask->given == chunk->len) {
		forget(node, ask);
		w->chunks++;
	}
	return true;
}

static bool op_has_room(void *link, void *data)
{
	(void)data;
	return !((struct node *)link)->full;
}

static void hang_up(struct world *w, struct node *node)
{
	node->joined = false;
	tracker_link_free(node->link, w->now_us);
	*node = (struct node){0};
}

static void receive(struct world *w, struct node *node, const struct message *m, bool known)
{
	struct err err = ERR_INIT;
	int r = tracker_receive(node->link, m, w->now_us, &err);
	expect((r == 0) == known);
	if (r < 0) {
		expect(err.kind == ERR_CORRUPT);
		hang_up(w, node);
	}
}

static void say_join(struct world *w, struct node *node)
{
	uint8_t byte = next(w), epochs = next(w);
	struct message m = {.type = MESSAGE_JOIN,
		.join = {.tracker = epochs % 2,
			.epoch = epochs / 2,
			.member = {.id = {{byte % 8}},
				.address = {{[15] = byte / 8 % 4}, byte & 0x20 ? 80 : 0},
				.site = {byte & 0x40 ? 'x' : '\0'}}}};
	memset(m.join.member.inventory, byte & 0x80 ? 0xff : 0, INVENTORY_SIZE);
	bool renamed = node->joined && !node_id_equal(&node->member.id, &m.join.member.id);
	node->member = m.join.member;
	node->joined = true;
	receive(w, node, &m, !renamed);
	const struct member *member = node->link != NULL ? tracker_link_member(node->link) : NULL;
	node->joined = member != NULL;
	if (member != NULL)
		expect(node_id_equal(&member->id, &m.join.member.id));
}

static void say_heartbeat(struct world *w, struct node *node)
{
	uint8_t byte = next(w);
	struct node_id suspects[2] = {{{byte % 8}}, {{byte / 8 % 8}}};
	struct message m = {.type = MESSAGE_HEARTBEAT,
		.heartbeat = {.percent = byte % 101, .suspects = {suspects, byte % 3, 2}}};
	memset(m.heartbeat.inventory, byte, INVENTORY_SIZE / 2);
	receive(w, node, &m, true);
}

static void say_request(struct world *w, struct node *node)
{
	struct chunk items[8] = {0};
	uint8_t first = next(w), flags = next(w) % 32;
	size_t len = 1 + flags % 8;
	if (node->asks_len + len > ASKS)
		return;
	for (size_t i = 0; i < len; i++) {
		uint8_t byte = next(w);
		items[i] = (struct chunk){.digest = {{byte % 8}},
			.len = byte & 0x40 ? 100 : CHUNK_LEN,
			.is_private = byte & 0x80};
		uint32_t id = (uint32_t)(first + i);
		if (find(node, id) == NULL)
			node->asks[node->asks_len++] = (struct ask){.id = id};
	}
	receive(w, node,
		&(struct message){.type = MESSAGE_REQUEST,
			.request = {.first = first, .flags = flags, .items = {items, len, len}}},
		true);
}

static void say_little(struct world *w, struct node *node)
{
	uint8_t byte = next(w), id = next(w);
	switch (byte % 4) {
	case 0:
		forget(node, find(node, id));
		receive(w, node, &(struct message){.type = MESSAGE_CANCEL, .cancel = {id}}, true);
		return;
	case 1:
		node->joined = false;
		receive(w, node, &(struct message){.type = MESSAGE_LEAVE}, true);
		return;
	case 2:
		receive(w, node, &(struct message){.type = MESSAGE_PROBE, .probe = {.id = id}},
			true);
		return;
	default:
		receive(w, node, &(struct message){.type = MESSAGE_FAIL, .fail = {.id = id}},
			false);
	}
}

static void step(struct world *w)
{
	static void (*const says[])(struct world * w, struct node * node) = {
		say_join, say_heartbeat, say_request, say_request, say_little};
	struct err err = ERR_INIT;
	uint8_t byte = next(w), kind = byte % 8;
	struct node *node = &w->nodes[byte / 8 % LINKS];
	if (kind == 7)
		w->now_us += (uint64_t)1 << (byte / 16 + 10); /* 1 ms to half a minute */
	else if (node->link == NULL)
		expect(tracker_link_new(w->tracker, node, w->now_us, &node->link, &err) == 0);
	else if (kind < ARRAY_LEN(says))
		says[kind](w, node);
	else if (kind == 5)
		node->full = !node->full;
	else if (byte & 0x80)
		w->gone = !w->gone;
	else
		hang_up(w, node);
	if (kind == 5 && node->link != NULL && !node->full)
		tracker_writable(node->link, w->now_us);
	for (unsigned i = 0; i < LINKS; i++)
		if (w->nodes[i].link != NULL && tracker_link_is_dead(w->nodes[i].link, w->now_us))
			hang_up(w, &w->nodes[i]);
	(void)tracker_tick(w->tracker, w->now_us);
}

/* In the end there is room, and everybody got an answer to everything. */
static void end_well(struct world *w)
{
	for (unsigned i = 0; i < LINKS; i++)
		w->nodes[i].full = false;
	for (unsigned i = 0; i < 100; i++) {
		w->now_us += 10000;
		(void)tracker_tick(w->tracker, w->now_us);
	}
	for (unsigned i = 0; i < LINKS; i++)
		expect(w->nodes[i].asks_len == 0);
}

/* True when a chunk went out. */
bool target_run(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct world w = {.at = data, .end = data + size, .now_us = 1000000};
	uint8_t choice = next(&w);
	static const struct tracker_ops ops = {
		.send = op_send, .part = op_part, .has = op_has, .has_room = op_has_room};
	const struct tracker_params params = {.instance = 1, .uplink = choice & 1 ? 10000000 : 0};
	expect(tracker_new(&params, &ops, &w, &w.tracker, &err) == 0);
	while (w.at < w.end)
		step(&w);
	end_well(&w);
	for (unsigned i = 0; i < LINKS; i++)
		if (w.nodes[i].link != NULL)
			hang_up(&w, &w.nodes[i]);
	tracker_free(w.tracker);
	return w.chunks > 0;
}
