/* SPDX-License-Identifier: MIT */
/*
 * A node among liars: behind a byte that chooses, the input says what peers, origins, its cache and
 * its reader do, one thing after the other. Whatever they do, only verified bytes are delivered,
 * stored or given on to their end, private chunks go to and come from origins alone, nothing is
 * sent where no link is, and every body is let go of.
 */
#include "engine_world.h"

#include <string.h>

#define PATIENCE_US ((uint64_t)600 * 1000000)

static uint8_t next(struct world *w)
{
	return w->at < w->end ? *w->at++ : 0;
}

static struct node_id id_of(uint8_t byte)
{
	return (struct node_id){{byte % 8}}; /* 0 is the node itself */
}

static struct node_address address_of(uint8_t byte)
{
	return (struct node_address){{[10] = 0xff, 0xff, 10, 0, 0, byte}, byte % 4 * 80};
}

static struct member member_of(struct world *w)
{
	uint8_t byte = next(w);
	struct member member = {.id = id_of(byte), .address = address_of(byte / 8)};
	memset(member.inventory, byte & 0x40 ? 0xff : 0, INVENTORY_SIZE);
	member.site[0] = byte & 0x80 ? 'x' : '\0';
	return member;
}

/* What happens to the engine. */

static void do_want(struct world *w)
{
	struct err err = ERR_INIT;
	uint8_t byte = next(w);
	struct want *want = &w->wants[byte % WANTS];
	if (want->want != NULL) {
		engine_want_cancel(want->want, w->now_us);
		want->want = NULL;
		return;
	}
	want->chunk = byte / WANTS % CHUNKS;
	const struct chunk chunk = world_chunk(want->chunk);
	expect(engine_want(w->engine, &chunk, byte / 64 % SWARM_PRIORITIES, want, w->now_us,
		       &want->want, &err) == 0);
}

static void do_accept(struct world *w)
{
	struct err err = ERR_INIT;
	struct wire *wire = world_free_wire(w);
	if (wire == NULL || wire - w->wires > WIRES / 2)
		return;
	*wire = (struct wire){.up = true, .fresh = true};
	struct engine_link *link;
	expect(engine_link_accepted(w->engine, wire, w->now_us, &link, &err) == 0);
	expect(wire->link == link); /* it was told HELLO */
}

/* The link that the next byte names, when there is one. */
static struct wire *pick(struct world *w)
{
	struct wire *wire = &w->wires[next(w) % WIRES];
	return wire->link != NULL ? wire : NULL;
}

static void end_link(struct world *w, struct wire *wire, enum link_end how)
{
	struct engine_link *link = wire->link;
	if (how == LINK_MIRROR && (!wire->origin || wire->up))
		how = LINK_LOST;
	if (how == LINK_MIRROR) {
		wire->up = wire->mirror = true;
	} else {
		*wire = (struct wire){0};
		engine_link_set_user(link, NULL);
	}
	engine_link_down(link, how, w->now_us);
}

static void do_link(struct world *w)
{
	struct wire *wire = pick(w);
	uint8_t byte = next(w);
	if (wire == NULL || wire->mirror) /* a web server has no link that could end */
		return;
	if (!wire->up && byte % 4 != 0) {
		wire->up = true;
		engine_link_up(wire->link, w->now_us);
	} else {
		end_link(w, wire, byte / 4 % 3);
	}
}

static void receive(struct world *w, struct wire *wire, const struct message *message)
{
	struct err err = ERR_INIT;
	struct engine_link *link = wire->link;
	if (engine_receive(link, message, w->now_us, &err) == 0)
		return;
	expect(err.kind == ERR_CORRUPT || err.kind == ERR_UNTRUSTED);
	expect(wire->link == link);
	end_link(w, wire, err.kind == ERR_CORRUPT ? LINK_GARBAGE : LINK_LOST);
}

static void say_hello(struct world *w, struct wire *wire)
{
	struct message m = {.type = MESSAGE_HELLO, .hello = {.member = member_of(w)}};
	m.hello.token[0] = next(w) % 2;
	receive(w, wire, &m);
}

static void say_welcome(struct world *w, struct wire *wire)
{
	uint8_t byte = next(w);
	receive(w, wire,
		&(struct message){.type = MESSAGE_WELCOME,
			.welcome = {.token = {byte % 2},
				.tracker = 1 + byte % 4,
				.heartbeat_ms = byte * 20u,
				.all = byte & 0x80}});
}

static void say_members(struct world *w, struct wire *wire)
{
	struct member came[4];
	struct node_id gone = id_of(next(w));
	size_t len = next(w) % 5;
	for (size_t i = 0; i < len; i++)
		came[i] = member_of(w);
	receive(w, wire,
		&(struct message){.type = MESSAGE_MEMBERS,
			.members = {.from = next(w) % 2,
				.to = 2,
				.came = {came, len, len},
				.gone = {&gone, 1, 1}}});
}

static void say_request(struct world *w, struct wire *wire)
{
	struct chunk items[8];
	uint8_t first = next(w), flags = next(w) % 32;
	size_t len = 1 + flags % 8;
	for (size_t i = 0; i < len; i++) {
		uint8_t byte = next(w);
		items[i] = world_chunk(byte % 8);
		items[i].is_private = byte & 0x20;
		items[i].len += byte & 0x40 ? 1 : 0;
	}
	receive(w, wire,
		&(struct message){.type = MESSAGE_REQUEST,
			.request = {.first = first, .flags = flags, .items = {items, len, len}}});
}

/* The next part of what was asked for, or something near to it. */
static void say_part(struct world *w, struct wire *wire)
{
	static uint8_t bytes[LINK_PART_SIZE];
	uint8_t byte = next(w), how = next(w);
	struct message m = {.type = MESSAGE_PART, .part = {.id = byte, .bytes = bytes}};
	struct ask *ask = wire->asks_len > 0 ? &wire->asks[byte % wire->asks_len] : NULL;
	uint32_t left = ask != NULL ? ask->chunk.len - ask->given : 0;
	if (how & 1)
		left = left < how * 16u ? left : how * 16u;
	m.part.id = ask != NULL ? ask->id : byte;
	m.part.off = ask != NULL ? ask->given : 0;
	m.part.len = left < LINK_PART_SIZE ? left : LINK_PART_SIZE;
	if (how & 2)
		m.part.off = 0;
	if ((how & 12) == 12)
		m.part.len = LINK_PART_SIZE;
	if (ask != NULL)
		ask->given = (m.part.off + m.part.len) % (ask->chunk.len + 1);
	memset(bytes, (how & 48) == 48 ? 0 : GOOD, sizeof(bytes));
	if (!wire->mirror)
		receive(w, wire, &m);
	else if (m.part.len > 0)
		engine_mirror_part(wire->link, m.part.id, bytes, m.part.len, w->now_us);
}

static uint32_t asked_id(struct world *w, const struct wire *wire)
{
	uint8_t byte = next(w);
	return wire->asks_len > 0 ? wire->asks[byte % wire->asks_len].id : byte;
}

static void say_ask(struct world *w, struct wire *wire)
{
	uint8_t byte = next(w);
	struct message m = {.type = MESSAGE_ASK,
		.ask = {.id = asked_id(w, wire),
			.node = id_of(byte),
			.address = address_of(byte / 8)}};
	world_forget_ask(wire, m.ask.id);
	receive(w, wire, &m);
}

static void say_fail(struct world *w, struct wire *wire)
{
	uint8_t byte = next(w);
	struct message m = {.type = MESSAGE_FAIL,
		.fail = {.id = asked_id(w, wire),
			.reason = FAIL_NOT_HELD + byte % 4,
			.retry_ms = byte * 257u * 257u}};
	world_forget_ask(wire, m.fail.id);
	receive(w, wire, &m);
}

static void say_little(struct world *w, struct wire *wire)
{
	uint8_t byte = next(w), id = next(w);
	struct message m = {.type = MESSAGE_CANCEL, .cancel = {.id = id}};
	if (byte % 4 == 1)
		m = (struct message){.type = MESSAGE_PROBE,
			.probe = {.id = id, .node = id_of(byte / 4), .hops = byte / 16}};
	else if (byte % 4 == 2)
		m = (struct message){.type = MESSAGE_BAD, .bad = world_chunk(id % 8).digest};
	else if (byte % 4 == 3)
		m = (struct message){.type = MESSAGE_LEAVE};
	receive(w, wire, &m);
}

static void do_say(struct world *w, void (*say)(struct world *w, struct wire *wire), bool mirror)
{
	struct wire *wire = pick(w);
	if (wire != NULL && wire->up && (mirror || !wire->mirror))
		say(w, wire);
}

static void do_mirror_end(struct world *w)
{
	struct wire *wire = pick(w);
	uint8_t byte = next(w);
	if (wire == NULL || !wire->mirror || wire->asks_len == 0)
		return;
	uint32_t id = asked_id(w, wire);
	world_forget_ask(wire, id);
	engine_mirror_end(wire->link, id, byte % 3, w->now_us);
}

/* The cache answers, right or with nothing. */
static void do_loaded(struct world *w)
{
	if (w->loads_len == 0)
		return;
	unsigned i = --w->loads_len;
	struct engine_body *body = next(w) % 4 != 0 ? world_body(w, &w->load_chunks[i]) : NULL;
	if (body != NULL)
		body->written = body->chunk.len;
	engine_loaded(w->engine, w->loads[i], body, w->now_us);
}

static void do_state(struct world *w)
{
	struct err err = ERR_INIT;
	uint8_t byte = next(w);
	const struct node_id id = id_of(byte / 8);
	const struct node_address address = address_of(byte);
	struct member member;
	switch (byte % 8) {
	case 0:
	case 1:
		w->held[byte / 8 % CHUNKS] ^= byte / 8 % CHUNKS != PRIVATE;
		return;
	case 2:
		w->full = !w->full;
		return;
	case 3:
		w->short_of_memory = !w->short_of_memory;
		return;
	case 4:
		member = member_of(w);
		expect(engine_member_found(w->engine, &member, w->now_us, &err) == 0);
		return;
	case 5:
		engine_member_lost(w->engine, &id, w->now_us);
		return;
	case 6:
		engine_tell_step(w->engine, "step", byte % 101);
		member.id = id;
		expect(engine_tell_touch(w->engine, &(struct chunk){.len = 1}, &err) == 0);
		return;
	default:
		engine_readdress(w->engine, &address, w->now_us);
	}
}

static void step(struct world *w)
{
	static void (*const says[])(struct world * w, struct wire * wire) = {say_hello, say_welcome,
		say_members, say_request, say_part, say_part, say_ask, say_fail, say_little};
	uint8_t byte = next(w), kind = byte % 16;
	if (kind < ARRAY_LEN(says))
		do_say(w, says[kind], says[kind] == say_part);
	else if (kind == 9)
		do_want(w);
	else if (kind == 10)
		do_accept(w);
	else if (kind == 11)
		do_link(w);
	else if (kind == 12)
		do_mirror_end(w);
	else if (kind == 13)
		do_loaded(w);
	else if (kind == 14)
		do_state(w);
	else
		w->now_us += (uint64_t)1 << (byte / 16 + 10); /* 1 ms to half a minute */
	uint64_t due_us = engine_tick(w->engine, w->now_us);
	expect(due_us >= w->now_us);
}

/* Serves what it was asked for, when that was told rightly. */
static void serve(struct world *w, struct wire *wire)
{
	static uint8_t bytes[LINK_PART_SIZE];
	memset(bytes, GOOD, sizeof(bytes));
	while (wire->link != NULL && wire->asks_len > 0) {
		struct err err = ERR_INIT;
		struct ask ask = wire->asks[0];
		struct chunk chunk = world_chunk(ask.chunk.digest.bytes[0] - 1u);
		bool right = chunk.digest.bytes[0] <= CHUNKS && ask.chunk.len == chunk.len;
		world_forget_ask(wire, ask.id);
		if (wire->mirror) {
			right = right && ask.chunk.off == chunk.off;
			for (uint32_t off = 0; right && off < chunk.len; off += sizeof(bytes))
				engine_mirror_part(wire->link, ask.id, bytes,
					chunk.len - off < sizeof(bytes) ? chunk.len - off
									: sizeof(bytes),
					w->now_us);
			if (!right)
				engine_mirror_end(wire->link, ask.id, MIRROR_MISSING, w->now_us);
			continue;
		}
		struct message m = {
			.type = MESSAGE_FAIL, .fail = {.id = ask.id, .reason = FAIL_NOT_HELD}};
		for (uint32_t off = 0; right && off < chunk.len; off += sizeof(bytes)) {
			m = (struct message){.type = MESSAGE_PART,
				.part = {.id = ask.id, .off = off, .bytes = bytes}};
			m.part.len = chunk.len - off < sizeof(bytes) ? chunk.len - off
								     : (uint32_t)sizeof(bytes);
			expect(engine_receive(wire->link, &m, w->now_us, &err) == 0);
		}
		if (!right)
			expect(engine_receive(wire->link, &m, w->now_us, &err) == 0);
	}
}

/*
 * In the end the origins are well and the others say nothing, as long as it takes: whatever was
 * said before, everything that is wanted comes.
 */
static void end_well(struct world *w)
{
	w->full = w->short_of_memory = false;
	for (unsigned i = 0; i < WANTS; i++) {
		uint64_t until_us = w->now_us + PATIENCE_US;
		while (w->wants[i].want != NULL) {
			expect(w->now_us < until_us);
			for (unsigned j = 0; j < WIRES; j++) {
				struct wire *wire = &w->wires[j];
				if (wire->link == NULL || !wire->origin)
					continue;
				if (!wire->up) {
					wire->up = true;
					engine_link_up(wire->link, w->now_us);
				}
				serve(w, wire);
			}
			w->now_us += 100000;
			(void)engine_tick(w->engine, w->now_us);
		}
	}
}

/* True when all that was wanted was delivered, and something was. */
bool target_run(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct world w = {.at = data, .end = data + size, .now_us = 1000000};
	uint8_t choice = next(&w);
	w.hides = choice & 4;
	const struct engine_params params = {.self = {.address = address_of(1)},
		.peers = (choice & 1) == 0,
		.uplink = choice & 2 ? 100000 : 0,
		.origins = ORIGINS,
		.system = "/nix/store/x"};
	expect(engine_new(&params, &world_ops, &w, w.now_us, &w.engine, &err) == 0);
	while (w.at < w.end)
		step(&w);
	end_well(&w);
	engine_leave(w.engine);
	engine_free(w.engine);
	for (unsigned i = 0; i < WIRES; i++)
		expect(w.wires[i].link == NULL);
	expect(w.bodies == 0);
	return w.got > 0;
}
