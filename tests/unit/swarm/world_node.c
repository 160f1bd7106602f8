/* SPDX-License-Identifier: MIT */
/*
 * A node of the computed world: an engine, a trace that is read, chunks that are held. A chunk's
 * bytes are one bit: whether a liar had them in hand.
 */
#include "world_parts.h"

#include "base/bytes.h"

#include <string.h>

#define UPGRADE_BYTES 180 /* of HTTP, to open a link */
#define LOAD_US 50        /* a look-up in a cache in memory */
#define ORIGIN_DIAL_MS 3000

/* Nodes. */

static void on_node_tick(struct world *world, void *subject, uint64_t at_us)
{
	struct host *host = subject;
	(void)world;
	if (host->alive && host->tick_us == at_us)
		world_node_run(host);
}

static void want(struct host *host, unsigned chunk, bool demand)
{
	struct err err = ERR_INIT;
	struct engine_want *ret;
	struct want *want = malloc(sizeof(*want));
	assert(want != NULL);
	*want = (struct want){host, demand};
	int r = engine_want(host->engine, &host->world->trace[chunk],
		demand ? SWARM_DEMAND : SWARM_PREFETCH, want, host->world->net.now_us, &ret, &err);
	assert(r == 0);
	(void)r;
}

static void on_thought(struct world *world, void *subject, uint64_t at)
{
	struct host *host = subject;
	if (!host->alive || host->at != at || host->reading)
		return;
	if (at == host->die_at) {
		world_kill(host, world_random(&world->random) % 2 == 0);
		world->left -= host->fault == FAULT_NONE;
		return;
	}
	if (host->held[at]) {
		host->at++;
		world_read(host);
		return;
	}
	host->reading = true;
	host->waits++;
	host->read_us = world->net.now_us;
	want(host, (unsigned)at, true);
	world_node_run(host);
}

void world_read(struct host *host)
{
	struct world *world = host->world;
	if (host->at == world->params.chunks) {
		if (host->done_us == UINT64_MAX && host->fault == FAULT_NONE)
			world->left--;
		host->done_us = world->net.now_us;
		struct err err = ERR_INIT;
		for (unsigned i = 0; i < world->params.chunks; i++)
			(void)engine_tell_touch(host->engine, &world->trace[i], &err);
		engine_tell_step(host->engine, "multi-user", 100);
		return;
	}
	uint64_t think = world->params.think_us / world->params.chunks;
	think = think * (80 + world_random(&host->random) % 41) / 100;
	world_after(world, think, on_thought, host, host->at);
}

/* What the engine's answers lead to; it is not called from within itself. */
static bool node_react(struct host *host)
{
	struct world *world = host->world;
	bool any = false;
	if (host->read_done) {
		host->read_done = host->reading = false;
		uint64_t waited = world->net.now_us - host->read_us;
		if (waited > host->longest_us)
			host->longest_us = waited;
		host->at++;
		world_read(host);
		any = true;
	}
	while (host->prefetching < world->params.prefetch &&
		host->next_prefetch < world->params.chunks) {
		unsigned chunk = host->next_prefetch++;
		if (host->held[chunk])
			continue;
		host->prefetching++;
		want(host, chunk, false);
		any = true;
	}
	return any;
}

void world_node_run(struct host *host)
{
	struct world *world = host->world;
	uint64_t now = world->net.now_us, next;
	do
		next = engine_tick(host->engine, now);
	while (node_react(host));
	if (next <= now)
		next = now + 1;
	if (next == host->tick_us)
		return;
	host->tick_us = next;
	if (next != UINT64_MAX)
		world_after(world, next - now, on_node_tick, host, next);
}

/* The engine's operations. */

struct pipe *world_pipe(struct engine_link *link)
{
	return engine_link_user(link);
}

int world_side(const struct pipe *pipe)
{
	return pipe == &pipe->wire->pipes[1];
}

static bool accepts(const struct host *host)
{
	return host->alive && !host->walled;
}

static void on_dialled(struct world *world, void *subject, uint64_t reachable)
{
	struct wire *wire = subject;
	struct engine_link *link = wire->users[0];
	struct host *from = wire->ends[0], *to = wire->ends[1];
	uint64_t now = world->net.now_us;
	bool reached = reachable && accepts(to) && world_can_reach(from, to);
	if (link == NULL || !from->alive) {
		wire_unref(wire);
		return;
	}
	if (!reached) {
		wire_close(wire, 0, false);
		engine_link_down(link, LINK_LOST, now);
	} else if (to == &world->origin && world->params.plain_origin) {
		wire->users[1] = wire;
		engine_link_down(link, LINK_MIRROR, now);
	} else {
		bool accepted = world_accept(wire);
		assert(accepted);
		(void)accepted;
		world->net.control_bytes += UPGRADE_BYTES;
		engine_link_up(link, now);
	}
	wire_unref(wire);
	world_node_run(from);
	if (to->engine != NULL && to->alive)
		world_node_run(to);
}

static void dial(struct engine_link *link, struct host *from, struct host *to, unsigned deadline_ms)
{
	struct wire *wire = wire_open(from->world, from, to);
	wire->users[0] = link;
	wire->references++;
	engine_link_set_user(link, &wire->pipes[0]);
	uint64_t trip = 4 * from->world->params.latency_us + 100;
	uint64_t deadline = 1000 * (uint64_t)deadline_ms;
	bool reachable = accepts(to) && world_can_reach(from, to) && trip <= deadline;
	world_after(from->world, reachable ? trip : deadline, on_dialled, wire, reachable);
}

static void op_dial(struct engine_link *link, const struct node_address *address,
	unsigned deadline_ms, void *data)
{
	struct host *host = data;
	unsigned number = get_le32(address->ip);
	assert(number < host->world->params.nodes);
	dial(link, host, &host->world->nodes[number], deadline_ms);
}

static void op_dial_origin(struct engine_link *link, unsigned origin, void *data)
{
	struct host *host = data;
	(void)origin;
	dial(link, host, &host->world->origin, ORIGIN_DIAL_MS);
}

static void op_hang_up(struct engine_link *link, void *data)
{
	(void)data;
	struct pipe *pipe = world_pipe(link);
	if (pipe != NULL)
		wire_close(pipe->wire, world_side(pipe), true);
}

/* Black holes talk to the origin only, so that they are members. */
static bool is_mute(const struct host *host, const struct pipe *pipe)
{
	return host->fault == FAULT_BLACK_HOLE &&
		pipe->wire->ends[!world_side(pipe)] != &host->world->origin;
}

static void op_send(struct engine_link *link, const struct message *message, void *data)
{
	struct pipe *pipe = world_pipe(link);
	if (pipe != NULL && !is_mute(data, pipe))
		wire_send(pipe->wire, world_side(pipe), message, false);
}

static bool op_has_room(struct engine_link *link, void *data)
{
	(void)data;
	struct pipe *pipe = world_pipe(link);
	return wire_has_room(pipe->wire, world_side(pipe));
}

/* A part that nobody waits for, while one that somebody waits for could go? */
static void watch_order(struct host *host, const struct engine_link *link, uint32_t id)
{
	const struct give *give = link->gives;
	while (give != NULL && give->upload.id != id)
		give = give->next;
	assert(give != NULL);
	struct upload_lane *first = host->engine->uploads.turn[SWARM_DEMAND], *lane = first;
	if (give->upload.priority == SWARM_DEMAND || first == NULL)
		return;
	do {
		const struct pipe *pipe = world_pipe(lane->queue->owner);
		host->inverted += lane->first->avail > lane->first->off && pipe->parts < 2;
		lane = lane->next;
	} while (lane != first);
}

static void op_part(struct engine_link *link, uint32_t id, struct engine_body *body, uint32_t off,
	uint32_t len, void *data)
{
	struct host *host = data;
	struct pipe *pipe = world_pipe(link);
	watch_order(host, link, id);
	if (is_mute(host, pipe))
		return;
	static const uint8_t bytes[LINK_PART_SIZE];
	wire_send(pipe->wire, world_side(pipe),
		&(struct message){.type = MESSAGE_PART,
			.part = {.id = id, .off = off, .len = len, .bytes = bytes}},
		body->tainted || host->fault == FAULT_LIAR);
}

static struct engine_body *op_body_new(const struct chunk *chunk, void *data)
{
	(void)data;
	struct engine_body *body = calloc(1, sizeof(*body));
	assert(body != NULL);
	*body = (struct engine_body){.references = 1, .chunk = *chunk};
	return body;
}

static void op_body_write(
	struct engine_body *body, uint32_t off, const void *bytes, uint32_t len, void *data)
{
	(void)data;
	assert(off + len <= body->chunk.len);
	body->tainted |= *(const uint8_t *)bytes != 0;
}

static bool op_body_verify(struct engine_body *body, void *data)
{
	(void)data;
	return !body->tainted;
}

static struct engine_body *op_body_ref(struct engine_body *body, void *data)
{
	(void)data;
	body->references++;
	return body;
}

static void op_body_unref(struct engine_body *body, void *data)
{
	(void)data;
	if (--body->references == 0)
		free(body);
}

static bool op_hides(const struct digest *chunk, void *data)
{
	(void)chunk;
	return data == NULL;
}

static bool op_has(const struct digest *digest, void *data)
{
	const struct host *host = data;
	return host->fault == FAULT_BRAGGART || host->held[world_index(digest)];
}

struct load {
	struct host *host;
	struct engine *engine;
	uint64_t ticket;
	struct chunk chunk;
};

static void on_loaded(struct world *world, void *subject, uint64_t argument)
{
	(void)argument;
	struct load *load = subject;
	struct host *host = load->host;
	unsigned index = world_index(&load->chunk.digest);
	if (host->alive && host->engine == load->engine) {
		struct engine_body *body =
			host->held[index] ? op_body_new(&world->trace[index], host) : NULL;
		engine_loaded(host->engine, load->ticket, body, world->net.now_us);
		world_node_run(host);
	}
	free(load);
}

static void op_load(const struct digest *digest, uint32_t len, uint64_t ticket, void *data)
{
	struct host *host = data;
	struct load *load = malloc(sizeof(*load));
	assert(load != NULL);
	*load = (struct load){
		host, host->engine, ticket, (struct chunk){.digest = *digest, .len = len}};
	world_after(host->world, LOAD_US, on_loaded, load, 0);
}

static void op_recheck(const struct digest *digest, void *data)
{
	(void)digest;
	(void)data;
}

static void op_inventory(uint8_t ret[INVENTORY_SIZE], void *data)
{
	struct host *host = data;
	memset(ret, host->fault == FAULT_BRAGGART ? 0xff : 0, INVENTORY_SIZE);
	for (unsigned i = 0; i < host->world->params.chunks; i++)
		if (host->held[i]) {
			unsigned bucket = bucket_of(&host->world->trace[i].digest);
			ret[bucket / 8] |= (uint8_t)(1 << bucket % 8);
		}
}

static void op_store(const struct chunk *chunk, struct engine_body *body, void *data)
{
	struct host *host = data;
	host->held[world_index(&chunk->digest)] = 1;
	host->wrong += body->tainted;
}

static void op_got(void *user, struct engine_body *body, enum swarm_source source, void *data)
{
	(void)body;
	(void)source;
	struct host *host = data;
	struct want *want = user;
	if (want->demand)
		host->read_done = true;
	else
		host->prefetching--;
	free(want);
}

/* A web server gives a whole range; here it goes over the wire as parts. */
static void on_mirror_asked(struct world *world, void *subject, uint64_t id_and_chunk)
{
	struct wire *wire = subject;
	uint32_t id = (uint32_t)(id_and_chunk >> 32);
	const struct chunk *chunk = &world->trace[id_and_chunk & UINT32_MAX];
	bool listens = wire->users[0] != NULL && wire->ends[0]->alive;
	wire_unref(wire);
	if (!listens)
		return;
	if (!world->origin.alive || !world_can_reach(wire->ends[0], wire->ends[1])) {
		engine_mirror_end(wire->users[0], id, MIRROR_FAILED, world->net.now_us);
		world_node_run(wire->ends[0]);
		return;
	}
	static const uint8_t bytes[LINK_PART_SIZE];
	world->origin_bytes += chunk->len;
	for (uint32_t off = 0; off < chunk->len; off += LINK_PART_SIZE) {
		uint32_t len =
			chunk->len - off < LINK_PART_SIZE ? chunk->len - off : LINK_PART_SIZE;
		wire_send(wire, 1,
			&(struct message){.type = MESSAGE_PART,
				.part = {.id = id, .off = off, .len = len, .bytes = bytes}},
			false);
	}
}

static void op_mirror_get(struct engine_link *link, uint32_t id, const struct chunk *chunk,
	enum swarm_priority priority, void *data)
{
	(void)priority;
	struct host *host = data;
	struct pipe *pipe = world_pipe(link);
	pipe->wire->references++;
	world_after(host->world, host->world->params.latency_us, on_mirror_asked, pipe->wire,
		(uint64_t)id << 32 | world_index(&chunk->digest));
}

static void op_mirror_cancel(struct engine_link *link, uint32_t id, void *data)
{
	(void)link;
	(void)id;
	(void)data;
}

static void op_mirror_distrust(struct engine_link *link, const struct chunk *chunk, void *data)
{
	(void)link;
	(void)chunk;
	(void)data;
}

const struct engine_ops world_engine_ops = ENGINE_OPS(op_);
