/* SPDX-License-Identifier: MIT */
/* The origin of the computed world, and what the network brings to it and to nodes. */
#include "world_parts.h"

#define DEAD_CHECK_US 1000000

/* The origin. */

static void on_tracker_tick(struct world *world, void *subject, uint64_t at_us)
{
	(void)subject;
	if (world->origin.alive && world->tracker_tick_us == at_us)
		world_tracker_run(world);
}

void world_tracker_run(struct world *world)
{
	uint64_t now = world->net.now_us;
	uint64_t next = tracker_tick(world->tracker, now);
	if (next == UINT64_MAX || next == world->tracker_tick_us)
		return;
	if (next <= now)
		next = now + 1;
	world->tracker_tick_us = next;
	world_after(world, next - now, on_tracker_tick, NULL, next);
}

static void tracker_send_op(void *link, const struct message *message, void *data)
{
	(void)data;
	wire_send(link, 1, message, false);
}

static bool tracker_part_op(
	void *link, uint32_t id, const struct chunk *chunk, uint32_t off, uint32_t len, void *data)
{
	struct world *world = data;
	(void)chunk;
	static const uint8_t bytes[LINK_PART_SIZE];
	world->origin_bytes += len;
	wire_send(link, 1,
		&(struct message){.type = MESSAGE_PART,
			.part = {.id = id, .off = off, .len = len, .bytes = bytes}},
		false);
	return true;
}

static bool tracker_room_op(void *link, void *data)
{
	(void)data;
	return wire_has_room(link, 1);
}

static bool tracker_has_op(const struct chunk *chunk, void *data)
{
	const struct world *world = data;
	return world_index(&chunk->digest) < world->params.chunks;
}

static const struct tracker_ops tracker_ops = {
	tracker_send_op, tracker_part_op, tracker_has_op, tracker_room_op};

static void on_dead_check(struct world *world, void *subject, uint64_t instance)
{
	(void)subject;
	if (!world->origin.alive || instance != world->tracker_instance)
		return;
	for (struct wire *wire = world->net.wires, *next; wire != NULL; wire = next) {
		next = wire->next;
		struct tracker_link *link = wire->users[1];
		if (wire->ends[1] != &world->origin || link == NULL ||
			!tracker_link_is_dead(link, world->net.now_us))
			continue;
		wire_close(wire, 1, true);
		(void)tracker_link_free(link, world->net.now_us);
	}
	world_tracker_run(world);
	world_after(world, DEAD_CHECK_US, on_dead_check, NULL, instance);
}

void world_origin_on(struct world *world)
{
	struct err err = ERR_INIT;
	world->origin.alive = true;
	if (world->params.plain_origin)
		return;
	struct tracker_params params = {
		.instance = ++world->tracker_instance, .token = {(uint8_t)world->tracker_instance}};
	int r = tracker_new(&params, &tracker_ops, world, &world->tracker, &err);
	assert(r == 0);
	(void)r;
	world->tracker_tick_us = UINT64_MAX;
	world_after(world, DEAD_CHECK_US, on_dead_check, NULL, world->tracker_instance);
}

void world_origin_off(struct world *world)
{
	world->origin.alive = false;
	if (world->params.plain_origin)
		return;
	for (struct wire *wire = world->net.wires, *next; wire != NULL; wire = next) {
		next = wire->next;
		if (wire->ends[1] == &world->origin)
			wire_close(wire, 1, true);
	}
	world->tracker = tracker_free(world->tracker);
}

bool world_accept(struct wire *wire)
{
	struct err err = ERR_INIT;
	struct host *host = wire->ends[1];
	struct world *world = host->world;
	uint64_t now = world->net.now_us;
	if (host == &world->origin) {
		struct tracker_link *link;
		int r = tracker_link_new(world->tracker, wire, now, &link, &err);
		wire->users[1] = link;
		return r == 0;
	}
	struct engine_link *link;
	int r = engine_link_accepted(host->engine, &wire->pipes[1], now, &link, &err);
	wire->users[1] = link;
	return r == 0;
}

/* What the network brings. */

void world_received(struct wire *wire, int side, const struct message *message)
{
	struct err err = ERR_INIT;
	struct host *host = wire->ends[side];
	struct world *world = host->world;
	uint64_t now = world->net.now_us;
	if (host == &world->origin) {
		int r = tracker_receive(wire->users[side], message, now, &err);
		assert(r == 0);
		(void)r;
		world_tracker_run(world);
		return;
	}
	struct engine_link *link = wire->users[side];
	if (link->peer != NULL && link->peer->mirror) {
		struct attempt *attempt = engine_attempt_find(link, message->part.id);
		bool last = attempt != NULL &&
			message->part.off + message->part.len == attempt->fetch->chunk.len;
		engine_mirror_part(
			link, message->part.id, message->part.bytes, message->part.len, now);
		if (last)
			engine_mirror_end(link, message->part.id, MIRROR_OK, now);
	} else if (engine_receive(link, message, now, &err) < 0) {
		wire_close(wire, side, true);
		engine_link_down(link, LINK_GARBAGE, now);
	}
	world_node_run(host);
}

void world_room(struct wire *wire, int side)
{
	struct host *host = wire->ends[side];
	struct world *world = host->world;
	if (host == &world->origin) {
		if (!world->params.plain_origin)
			world_tracker_run(world);
		return;
	}
	engine_writable(wire->users[side], world->net.now_us);
	world_node_run(host);
}

void world_closed(struct wire *wire, int side)
{
	struct host *host = wire->ends[side];
	struct world *world = host->world;
	void *user = wire->users[side];
	wire_close(wire, side, false);
	if (host == &world->origin) {
		if (world->params.plain_origin)
			return;
		(void)tracker_link_free(user, world->net.now_us);
		world_tracker_run(world);
		return;
	}
	engine_link_down(user, LINK_LOST, world->net.now_us);
	world_node_run(host);
}
