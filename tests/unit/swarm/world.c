/* SPDX-License-Identifier: MIT */
/* The life of the computed world: joins, deaths, reboots, partitions, and what came of it. */
#include "world_parts.h"

#include "base/bytes.h"

#include <string.h>

#define SLOW_RATE 10000 /* bytes a second */

struct world_net *world_net(struct world *world)
{
	return &world->net;
}

uint64_t world_latency(const struct world *world)
{
	return world->params.latency_us;
}

uint64_t world_now(const struct world *world)
{
	return world->net.now_us;
}

struct host *world_node(struct world *world, unsigned number)
{
	return &world->nodes[number];
}

bool world_can_reach(const struct host *a, const struct host *b)
{
	return a->group == b->group;
}

uint64_t world_random(uint64_t *state)
{
	uint64_t v = *state += 0x9e3779b97f4a7c15;
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9;
	v = (v ^ v >> 27) * 0x94d049bb133111eb;
	return v ^ v >> 31;
}

unsigned world_index(const struct digest *digest)
{
	return get_le32(digest->bytes + 28);
}

/* Lives and deaths. */

void world_kill(struct host *host, bool tell)
{
	struct world *world = host->world;
	host->alive = false;
	for (struct wire *wire = world->net.wires, *next; tell && wire != NULL; wire = next) {
		next = wire->next;
		for (int side = 0; side < 2; side++)
			if (wire->ends[side] == host && wire->users[side] != NULL) {
				engine_link_set_user(wire->users[side], NULL);
				wire_close(wire, side, true);
			}
	}
}

static void on_join(struct world *world, void *subject, uint64_t argument)
{
	struct err err = ERR_INIT;
	struct host *host = subject;
	const struct world_params *params = &world->params;
	(void)argument;
	bool closed = host->number % 100 < params->closed_percent;
	struct engine_params engine = {.peers = true,
		.origins = 1,
		.uplink = params->uplink,
		.system = "/nix/store/00000000000000000000000000000000-nixos-system-simulated",
		.seed = world_random(&world->random)};
	put_le64(engine.self.id.bytes, host->number * 0x9e3779b97f4a7c15);
	put_le32(engine.self.address.ip, host->number);
	engine.self.address.port = closed ? 0 : 80;
	host->walled |= closed;
	host->alive = true;
	host->began_us = world->net.now_us;
	host->tick_us = UINT64_MAX;
	host->random = world_random(&world->random);
	int r = engine_new(
		&engine, &world_engine_ops, host, world->net.now_us, &host->engine, &err);
	assert(r == 0);
	(void)r;
	for (unsigned i = 0; params->plain_origin && i < params->nodes; i++) {
		struct host *other = &world->nodes[i];
		if (other == host || !other->alive)
			continue;
		(void)engine_member_found(
			host->engine, &other->engine->params.self, world->net.now_us, &err);
		(void)engine_member_found(other->engine, &engine.self, world->net.now_us, &err);
	}
	if (host->fault != FAULT_BLACK_HOLE)
		world_read(host);
	else
		host->next_prefetch = params->chunks;
	world_node_run(host);
}

static void begin_all(struct world *world, uint64_t spread_us)
{
	world->left = 0;
	for (unsigned i = 0; i < world->params.nodes; i++) {
		struct host *host = &world->nodes[i];
		host->done_us = UINT64_MAX;
		world->left += host->fault == FAULT_NONE;
		host->at = host->next_prefetch = host->prefetching = host->waits = 0;
		host->reading = host->read_done = false;
		host->longest_us = 0;
		uint64_t wait = spread_us > 0 ? world_random(&world->random) % spread_us : 0;
		world_after(world, wait, on_join, host, 0);
	}
}

static void free_engine(struct host *host)
{
	if (host->engine == NULL)
		return;
	for (size_t i = 0; i < FETCH_HEADS; i++)
		for (struct fetch *f = host->engine->fetch_heads[i]; f != NULL; f = f->hash_next)
			for (struct engine_want *w = f->wants; w != NULL; w = w->next)
				free(w->user);
	host->engine = engine_free(host->engine);
}

void world_reboot(struct world *world, uint64_t spread_us)
{
	for (unsigned i = 0; i < world->params.nodes; i++) {
		struct host *host = &world->nodes[i];
		if (host->alive)
			world_kill(host, true);
		free_engine(host);
		host->die_at = UINT32_MAX;
	}
	world->origin_bytes = 0;
	begin_all(world, spread_us);
}

void world_split(struct world *world, unsigned count)
{
	for (unsigned i = 0; i < world->params.nodes; i++) {
		world->nodes[i].group = count > 0 && i >= count;
		wire_wake(world, &world->nodes[i]);
	}
	wire_wake(world, &world->origin);
}

static void make_trace(struct world *world)
{
	const struct world_params *params = &world->params;
	world->trace = calloc(params->chunks, sizeof(*world->trace));
	assert(world->trace != NULL);
	for (unsigned i = 0; i < params->chunks; i++) {
		struct chunk *chunk = &world->trace[i];
		for (size_t b = 0; b < 24; b += 8)
			put_le64(chunk->digest.bytes + b, world_random(&world->random));
		put_le32(chunk->digest.bytes + 28, i);
		/* From a quarter of the mean to nearly twice that, as blocks compress. */
		uint64_t percent = 25 + world_random(&world->random) % 151;
		chunk->len = (uint32_t)(params->chunk_size * percent / 100);
		if (chunk->len > CHUNK_MAX)
			chunk->len = CHUNK_MAX;
		world->trace_bytes += chunk->len;
	}
}

/* Picks exactly *left of the nodes from number i on, at random. */
static bool chosen(struct world *world, unsigned *left, unsigned i)
{
	bool yes = world_random(&world->random) % (world->params.nodes - i) < *left;
	*left -= yes;
	return yes;
}

static void make_nodes(struct world *world)
{
	const struct world_params *params = &world->params;
	unsigned kills = params->nodes * params->kill_percent / 100;
	unsigned faults = params->nodes * params->fault_percent / 100;
	world->nodes = calloc(params->nodes, sizeof(*world->nodes));
	assert(world->nodes != NULL);
	for (unsigned i = 0; i < params->nodes; i++) {
		struct host *host = &world->nodes[i];
		*host = (struct host){.world = world,
			.number = i,
			.up = params->rate,
			.down = params->rate,
			.die_at = UINT32_MAX,
			.held = calloc(params->chunks, 1)};
		assert(host->held != NULL);
		if (chosen(world, &kills, i))
			host->die_at = params->chunks / 5 +
				(unsigned)(world_random(&world->random) %
					(params->chunks * 3 / 5 + 1));
		if (chosen(world, &faults, i))
			host->fault = params->fault;
		host->walled = world_random(&world->random) % 100 < params->walled_percent;
		if (host->fault == FAULT_SLOW)
			host->up = SLOW_RATE;
	}
}

struct world *world_new(const struct world_params *params)
{
	struct world *world = calloc(1, sizeof(*world));
	assert(world != NULL);
	world->params = *params;
	world->random = params->seed;
	world->net.now_us = WORLD_SECOND;
	make_trace(world);
	make_nodes(world);
	world->origin = (struct host){
		.world = world, .number = UINT32_MAX, .up = params->rate, .down = params->rate};
	world_origin_on(world);
	begin_all(world, params->spread_us);
	return world;
}

struct world *world_free(struct world *world)
{
	for (unsigned i = 0; i < world->params.nodes; i++) {
		free_engine(&world->nodes[i]);
		free(world->nodes[i].held);
	}
	(void)tracker_free(world->tracker);
	world_net_done(world);
	free(world->nodes);
	free(world->trace);
	free(world);
	return NULL;
}

bool world_run(struct world *world, uint64_t until_us)
{
	while (world->left > 0 && world->net.now_us < until_us && world_step(world))
		;
	return world->left == 0;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static void add_stat(struct swarm_stat *sum, const struct host *host)
{
	struct swarm_stat stat = {0};
	if (host->engine == NULL)
		return;
	engine_stat(host->engine, &stat);
	sum->peer_bytes += stat.peer_bytes;
	sum->origin_bytes += stat.origin_bytes;
	sum->wasted_bytes += stat.wasted_bytes;
	sum->uploaded_bytes += stat.uploaded_bytes;
	sum->hedges += stat.hedges;
	sum->redirects += stat.redirects;
	sum->lease_waits += stat.lease_waits;
	sum->look_asides += stat.look_asides;
	sum->corrupt += stat.corrupt;
	sum->timeouts += stat.timeouts;
	sum->quarantines += stat.quarantines;
	sum->circles += stat.circles;
	sum->links += stat.links;
}

void world_result(struct world *world, struct world_result *ret)
{
	unsigned nodes = world->params.nodes, done = 0;
	uint64_t *times = calloc(nodes, sizeof(*times));
	uint64_t waits = 0;
	assert(times != NULL);
	*ret = (struct world_result){0};
	for (unsigned i = 0; i < nodes; i++) {
		const struct host *host = &world->nodes[i];
		ret->wrong += host->wrong;
		ret->inverted += host->inverted;
		add_stat(&ret->sum, host);
		if (!host->alive || host->fault != FAULT_NONE)
			continue;
		ret->alive++;
		waits += host->waits;
		if ((double)host->longest_us / WORLD_SECOND > ret->longest_s)
			ret->longest_s = (double)host->longest_us / WORLD_SECOND;
		if (host->done_us != UINT64_MAX)
			times[done++] = host->done_us - host->began_us;
	}
	ret->done = done;
	qsort(times, done, sizeof(*times), compare_u64);
	if (done > 0) {
		ret->p50_s = (double)times[done / 2] / WORLD_SECOND;
		ret->p99_s = (double)times[done * 99 / 100] / WORLD_SECOND;
		ret->waits = (double)waits / ((double)ret->alive * world->params.chunks);
	}
	free(times);
	ret->origin = (double)world->origin_bytes / (double)world->trace_bytes;
	ret->control = (double)world->net.control_bytes / (double)world->net.data_bytes;
}
