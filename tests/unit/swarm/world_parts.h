/* SPDX-License-Identifier: MIT */
#ifndef WORLD_PARTS_H
#define WORLD_PARTS_H

/* What world.c (lives, results), world_node.c (engines) and world_origin.c (the tracker) share. */

#include "swarm/engine_parts.h"
#include "world.h"

#include <assert.h>

struct engine_body {
	unsigned references;
	struct chunk chunk;
	bool tainted;
};

struct want {
	struct host *host;
	bool demand;
};

struct world {
	struct world_params params;
	struct world_net net;
	struct host *nodes;
	struct host origin;
	struct tracker *tracker;
	uint64_t tracker_tick_us, tracker_instance;
	uint64_t origin_bytes; /* of chunks */
	struct chunk *trace;
	uint64_t trace_bytes;
	uint64_t random;
	unsigned left; /* live nodes that are not through */
};

extern const struct engine_ops world_engine_ops;

uint64_t world_random(uint64_t *state);
unsigned world_index(const struct digest *digest);
struct pipe *world_pipe(struct engine_link *link); /* NULL: its host is gone */
int world_side(const struct pipe *pipe);
/* Does what an engine has to do, and comes back when there is more. */
void world_node_run(struct host *host);
/* Goes on to the next chunk of the trace. */
void world_read(struct host *host);
/* Switches a node off; `tell`: its kernel closes its connections. */
void world_kill(struct host *host, bool tell);
void world_tracker_run(struct world *world);
/* The dialled side takes the connection. */
bool world_accept(struct wire *wire);

#endif
