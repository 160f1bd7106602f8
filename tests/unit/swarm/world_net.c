/* SPDX-License-Identifier: MIT */
/*
 * The computed network: a heap of events, and hosts whose links are queues. A host sends one frame
 * after the other, its connections in turn, each with at most WINDOW bytes on their way; at the
 * receiver frames queue again. That is what TCP over a switch comes down to at this scale.
 */
#include "world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW (256u * 1024) /* bytes on their way on one connection */
#define ROOM 2               /* parts that a connection queues */
#define OVERHEAD 60          /* bytes of headers for a frame */

struct event_item {
	uint64_t at_us, sequence;
	world_event_fn *run;
	void *subject;
	uint64_t argument;
};

struct frame {
	struct frame *next;
	size_t size;
	bool is_part;
	uint8_t taint;
	uint32_t id, off, len;
	struct buf bytes; /* of everything else */
};

static bool before(const struct event_item *a, const struct event_item *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->sequence < b->sequence;
}

void world_after(struct world *world, uint64_t wait_us, world_event_fn *run, void *subject,
	uint64_t argument)
{
	struct world_net *net = world_net(world);
	if (net->len == net->cap) {
		net->cap = net->cap != 0 ? 2 * net->cap : 1024;
		net->heap = realloc(net->heap, net->cap * sizeof(*net->heap));
		assert(net->heap != NULL);
	}
	struct event_item item = {net->now_us + wait_us, net->sequence++, run, subject, argument};
	size_t at = net->len++;
	for (; at > 0 && before(&item, &net->heap[(at - 1) / 2]); at = (at - 1) / 2)
		net->heap[at] = net->heap[(at - 1) / 2];
	net->heap[at] = item;
}

bool world_step(struct world *world)
{
	struct world_net *net = world_net(world);
	if (net->len == 0)
		return false;
	struct event_item first = net->heap[0], last = net->heap[--net->len];
	size_t at = 0;
	for (size_t child; (child = 2 * at + 1) < net->len; at = child) {
		if (child + 1 < net->len && before(&net->heap[child + 1], &net->heap[child]))
			child++;
		if (!before(&net->heap[child], &last))
			break;
		net->heap[at] = net->heap[child];
	}
	net->heap[at] = last;
	net->now_us = first.at_us;
	first.run(world, first.subject, first.argument);
	return true;
}

static uint64_t time_for(size_t bytes, uint64_t rate)
{
	return (bytes + OVERHEAD) * WORLD_SECOND / rate + 1;
}

static void pump(struct host *host);

void wire_unref(struct wire *wire)
{
	if (--wire->references > 0)
		return;
	struct world_net *net = world_net(wire->ends[0]->world);
	*(wire->prev != NULL ? &wire->prev->next : &net->wires) = wire->next;
	if (wire->next != NULL)
		wire->next->prev = wire->prev;
	free(wire);
}

static bool may_send(const struct pipe *pipe)
{
	const struct wire *wire = pipe->wire;
	return pipe->first != NULL && pipe->in_flight < WINDOW &&
		world_can_reach(wire->ends[0], wire->ends[1]);
}

static void ring_update(struct pipe *pipe)
{
	struct host *host = pipe->from;
	bool want = may_send(pipe);
	if (want == pipe->in_ring)
		return;
	pipe->in_ring = want;
	if (!want) {
		if (host->ring == pipe)
			host->ring = pipe->ring_next != pipe ? pipe->ring_next : NULL;
		pipe->ring_next->ring_prev = pipe->ring_prev;
		pipe->ring_prev->ring_next = pipe->ring_next;
		return;
	}
	if (host->ring == NULL) {
		host->ring = pipe->ring_next = pipe->ring_prev = pipe;
		return;
	}
	pipe->ring_next = host->ring;
	pipe->ring_prev = host->ring->ring_prev;
	pipe->ring_prev->ring_next = pipe;
	pipe->ring_next->ring_prev = pipe;
}

struct arrival {
	struct wire *wire;
	int side; /* that sent it */
	struct frame *frame;
};

static void deliver(struct wire *wire, int side, struct frame *frame)
{
	if (wire->users[!side] == NULL || !wire->ends[!side]->alive)
		return;
	if (frame->is_part) {
		struct message part = {.type = MESSAGE_PART,
			.part = {.id = frame->id,
				.off = frame->off,
				.len = frame->len,
				.bytes = &frame->taint}};
		world_received(wire, !side, &part);
		return;
	}
	struct err err = ERR_INIT;
	AUTO_MESSAGE message = {.type = MESSAGE_LEAVE};
	int r = message_decode(frame->bytes.data, frame->bytes.len, &message, &err);
	assert(r == 0);
	(void)r;
	world_received(wire, !side, &message);
}

static void on_arrived(struct world *world, void *subject, uint64_t argument)
{
	(void)world;
	(void)argument;
	struct arrival *arrival = subject;
	struct wire *wire = arrival->wire;
	struct pipe *pipe = &wire->pipes[arrival->side];
	pipe->in_flight -= arrival->frame->size;
	deliver(wire, arrival->side, arrival->frame);
	ring_update(pipe);
	pump(pipe->from);
	buf_done(&arrival->frame->bytes);
	free(arrival->frame);
	free(arrival);
	wire_unref(wire);
}

/* The last bit left the sender: the frame crosses, and queues for the receiver's link. */
static void on_sent(struct world *world, void *subject, uint64_t argument)
{
	struct arrival *arrival = subject;
	struct wire *wire = arrival->wire;
	struct host *from = wire->ends[arrival->side], *to = wire->ends[!arrival->side];
	uint64_t now = world_net(world)->now_us;
	uint64_t at = now + argument;
	uint64_t begin = at > to->down_free_us ? at : to->down_free_us;
	to->down_free_us = begin + time_for(arrival->frame->size, to->down);
	world_after(world, to->down_free_us - now, on_arrived, arrival, 0);
	from->sending = false;
	struct pipe *pipe = &wire->pipes[arrival->side];
	if (pipe->wants_room && pipe->parts < ROOM && wire->users[arrival->side] != NULL &&
		from->alive) {
		pipe->wants_room = false;
		world_room(wire, arrival->side);
	}
	pump(from);
}

static void pump(struct host *host)
{
	struct pipe *pipe = host->ring;
	if (host->sending || !host->alive || pipe == NULL)
		return;
	host->ring = pipe->ring_next;
	struct frame *frame = pipe->first;
	pipe->first = frame->next;
	if (pipe->first == NULL)
		pipe->last = NULL;
	pipe->parts -= frame->is_part;
	pipe->in_flight += frame->size;
	ring_update(pipe);
	host->sending = true;
	struct world_net *net = world_net(host->world);
	*(frame->is_part ? &net->data_bytes : &net->control_bytes) += frame->size;
	struct arrival *arrival = malloc(sizeof(*arrival));
	assert(arrival != NULL);
	*arrival = (struct arrival){pipe->wire, pipe == &pipe->wire->pipes[1], frame};
	pipe->wire->references++;
	world_after(host->world, time_for(frame->size, host->up), on_sent, arrival,
		world_latency(host->world));
}

void wire_wake(struct world *world, struct host *host)
{
	for (struct wire *wire = world_net(world)->wires; wire != NULL; wire = wire->next)
		for (int side = 0; side < 2; side++)
			if (wire->ends[side] == host)
				ring_update(&wire->pipes[side]);
	pump(host);
}

struct wire *wire_open(struct world *world, struct host *from, struct host *to)
{
	struct world_net *net = world_net(world);
	struct wire *wire = calloc(1, sizeof(*wire));
	assert(wire != NULL);
	wire->ends[0] = from;
	wire->ends[1] = to;
	for (int side = 0; side < 2; side++) {
		wire->pipes[side].from = wire->ends[side];
		wire->pipes[side].wire = wire;
	}
	wire->references = 1; /* as long as one side has it */
	wire->next = net->wires;
	if (net->wires != NULL)
		net->wires->prev = wire;
	net->wires = wire;
	return wire;
}

void wire_send(struct wire *wire, int side, const struct message *message, bool taint)
{
	struct pipe *pipe = &wire->pipes[side];
	struct frame *frame = calloc(1, sizeof(*frame));
	assert(frame != NULL);
	frame->size = message_size(message);
	frame->is_part = message->type == MESSAGE_PART;
	if (frame->is_part) {
		frame->id = message->part.id;
		frame->off = message->part.off;
		frame->len = message->part.len;
		frame->taint = taint;
	} else {
		struct err err = ERR_INIT;
		int r = message_encode(message, &frame->bytes, &err);
		assert(r == 0);
		(void)r;
	}
	*(pipe->last != NULL ? &pipe->last->next : &pipe->first) = frame;
	pipe->last = frame;
	pipe->parts += frame->is_part;
	ring_update(pipe);
	pump(pipe->from);
}

bool wire_has_room(struct wire *wire, int side)
{
	struct pipe *pipe = &wire->pipes[side];
	bool room = pipe->parts < ROOM;
	pipe->wants_room |= !room;
	return room;
}

static void drop_queue(struct pipe *pipe)
{
	while (pipe->first != NULL) {
		struct frame *frame = pipe->first;
		pipe->first = frame->next;
		buf_done(&frame->bytes);
		free(frame);
	}
	pipe->last = NULL;
	pipe->parts = 0;
	ring_update(pipe);
}

static void on_told(struct world *world, void *subject, uint64_t side)
{
	(void)world;
	struct wire *wire = subject;
	if (wire->users[side] != NULL && wire->ends[side]->alive)
		world_closed(wire, (int)side);
	wire_unref(wire);
}

void wire_close(struct wire *wire, int side, bool tell)
{
	if (wire->users[side] == NULL)
		return;
	wire->users[side] = NULL;
	drop_queue(&wire->pipes[side]);
	if (wire->users[!side] == NULL) {
		drop_queue(&wire->pipes[!side]);
		wire_unref(wire);
	} else if (tell) {
		wire->references++;
		struct world *world = wire->ends[0]->world;
		world_after(world, world_latency(world), on_told, wire, (uint64_t)!side);
	}
}

void world_net_done(struct world *world)
{
	struct world_net *net = world_net(world);
	for (size_t i = 0; i < net->len; i++) {
		if (net->heap[i].run != on_arrived && net->heap[i].run != on_sent)
			continue;
		struct arrival *arrival = net->heap[i].subject;
		buf_done(&arrival->frame->bytes);
		free(arrival->frame);
		free(arrival);
	}
	while (net->wires != NULL) {
		struct wire *wire = net->wires;
		net->wires = wire->next;
		for (int side = 0; side < 2; side++)
			for (struct frame *frame = wire->pipes[side].first, *next; frame != NULL;
				frame = next) {
				next = frame->next;
				buf_done(&frame->bytes);
				free(frame);
			}
		free(wire);
	}
	free(net->heap);
}
