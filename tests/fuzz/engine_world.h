/* SPDX-License-Identifier: MIT */
#ifndef TESTS_FUZZ_ENGINE_WORLD_H
#define TESTS_FUZZ_ENGINE_WORLD_H

/*
 * What an engine believes to be a network, a cache and a reader. It holds what the engine does to
 * what is always right, and dies where that fails.
 */

#include "target.h"

#include "swarm/engine.h"

#include "base/mem.h"

#define WIRES 24u
#define ASKS 32u
#define WANTS 8u
#define LOADS 16u
#define CHUNKS 4u  /* that there are */
#define PRIVATE 3u /* the last of them */
#define GOOD 0x5a  /* every byte of what is right */
#define ORIGINS 2u

struct engine_body {
	unsigned references;
	struct chunk chunk;
	uint32_t written;
	bool wrong;
};

/* What a link's other side was asked for. */
struct ask {
	uint32_t id, given;
	struct chunk chunk;
};

struct wire {
	struct engine_link *link; /* NULL: none */
	bool up, origin, mirror;
	bool fresh; /* accepted, and its link is not known yet */
	struct ask asks[ASKS];
	unsigned asks_len;
};

struct want {
	struct engine_want *want;
	unsigned chunk;
};

struct world {
	const uint8_t *at, *end; /* what is left of the input */
	uint64_t now_us;
	struct engine *engine;
	struct wire wires[WIRES];
	struct want wants[WANTS];
	uint64_t loads[LOADS];
	struct chunk load_chunks[LOADS];
	unsigned loads_len, bodies, got;
	bool held[CHUNKS], full, short_of_memory;
	bool hides; /* we know what is private */
};

extern const struct engine_ops world_ops;

/* One that there is and, from CHUNKS on, one that there is not. */
struct chunk world_chunk(unsigned i);
struct wire *world_free_wire(struct world *world);
void world_forget_ask(struct wire *wire, uint32_t id);
struct engine_body *world_body(struct world *world, const struct chunk *chunk);
/* Somebody waits for that chunk. */
bool world_wants(const struct world *world, unsigned chunk);

#endif
