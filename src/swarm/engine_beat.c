/* SPDX-License-Identifier: MIT */
/*
 * What a node tells its tracker unasked: that it lives, how far its boot is, what it counted, whom
 * it suspects, and what was touched.
 */
#include "swarm/engine_parts.h"

static bool is_suspect(const struct peer *peer)
{
	return peer->banned || peer->failures >= SUSPECT_FAILURES;
}

/* The first `count` of those that wait, in as many frames as it takes. */
static void report_touches(struct engine *engine, struct engine_link *link, size_t count)
{
	chunks *touches = &engine->touches;
	for (size_t at = 0, len; at < count; at += len) {
		len = count - at < LINK_ITEMS_MAX ? count - at : LINK_ITEMS_MAX;
		struct message message = {.type = MESSAGE_TOUCHES,
			.touches = {.items = touches->items + at, .len = len}};
		engine_send(link, &message);
	}
	touches->len -= count;
	if (touches->len > 0)
		memmove(touches->items, touches->items + count,
			touches->len * sizeof(*touches->items));
}

void engine_beat(struct engine *engine)
{
	struct err err = ERR_INIT;
	struct peer *tracker = engine->tracker;
	if (tracker == NULL || tracker->link == NULL || !tracker->link->up ||
		engine->heartbeat_us == 0)
		return;
	bool due = engine->now_us >= engine->next_heartbeat_us ||
		(engine->news && engine->now_us - engine->last_heartbeat_us >= 1000000);
	if (!due)
		return;
	/* A step may end what the origin counts as the boot, so what is older comes first. */
	report_touches(engine, tracker->link, engine->touches_before);
	struct message message = {.type = MESSAGE_HEARTBEAT,
		.heartbeat = {.epoch = engine->epoch,
			.step = engine->step,
			.percent = (uint8_t)engine->percent}};
	memcpy(message.heartbeat.counters, engine->counters, sizeof(engine->counters));
	engine->ops->inventory(message.heartbeat.inventory, engine->data);
	for (struct peer *peer = engine->peers;
		peer != NULL && message.heartbeat.suspects.len < LINK_SUSPECTS_MAX;
		peer = peer->next)
		if (peer->is_member && is_suspect(peer))
			(void)vec_push(&message.heartbeat.suspects, peer->member.id, &err);
	engine_send(tracker->link, &message);
	vec_done(&message.heartbeat.suspects);
	report_touches(engine, tracker->link, engine->touches.len);
	engine->touches_before = 0;
	engine->news = false;
	engine->last_heartbeat_us = engine->now_us;
	engine->next_heartbeat_us = engine->now_us + engine->heartbeat_us;
}
