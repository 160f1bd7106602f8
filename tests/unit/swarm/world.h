/* SPDX-License-Identifier: MIT */
#ifndef WORLD_H
#define WORLD_H

/*
 * A world in which swarms boot: the real engines and the real tracker over a network that is
 * computed. One seed gives one history, so a failure can be looked at again. Hosts have a link with
 * a rate each way, frames queue there as they do in a kernel, and every frame but a chunk's bytes
 * goes through the real codec.
 */

#include "swarm/engine.h"
#include "swarm/tracker.h"

#include <stdbool.h>
#include <stdint.h>

#define WORLD_SECOND 1000000ull /* in the world's time, µs */

enum world_fault {
	FAULT_NONE,
	FAULT_LIAR,       /* every byte it gives is wrong */
	FAULT_BLACK_HOLE, /* accepts, and never says a thing */
	FAULT_SLOW,       /* sends 10 kB/s */
	FAULT_BRAGGART,   /* claims to have everything */
};

struct world_params {
	uint64_t seed;
	unsigned nodes;
	uint64_t rate;       /* of every host, bytes a second each way */
	uint64_t latency_us; /* one way */
	unsigned chunks;     /* of the trace, which is what each node touches */
	unsigned chunk_size; /* mean, bytes */
	unsigned prefetch;   /* chunks ahead that are wanted before they are read; 0: no profile */
	uint64_t think_us;   /* in all, between reads */
	uint64_t spread_us;  /* joins happen within this time */
	unsigned kill_percent;  /* of the nodes vanish in the middle of their boot */
	unsigned fault_percent; /* of the nodes are of that kind */
	enum world_fault fault;
	unsigned closed_percent; /* of the nodes accept no connections, and say so */
	unsigned walled_percent; /* do not accept any, and do not know it */
	uint64_t uplink;         /* of the nodes; 0: no limit */
	bool plain_origin;       /* a web server without a tracker; members find each other */
};

struct world;
struct host;

/* One direction of a connection. */
struct frame;
struct pipe {
	struct host *from;
	struct wire *wire;
	struct frame *first, *last; /* not sent yet */
	size_t parts;               /* of them PARTs */
	size_t in_flight;           /* bytes sent and not delivered */
	bool wants_room;
	struct pipe *ring_prev, *ring_next; /* at the host, while it can send */
	bool in_ring;
};

/* A connection of two hosts. */
struct wire {
	struct wire *prev, *next;
	struct pipe pipes[2]; /* [0] from who dialled */
	struct host *ends[2];
	void *users[2]; /* the engine's or tracker's link, NULL: closed there */
	bool up;
	unsigned references; /* events under way that name it */
};

struct host {
	struct world *world;
	unsigned number;
	bool alive;
	unsigned group;    /* hosts of different groups cannot reach each other */
	uint64_t up, down; /* bytes a second */
	uint64_t up_free_us, down_free_us;
	bool sending;
	struct pipe *ring; /* pipes that have something to send and may */

	/* A node. */
	struct engine *engine;
	enum world_fault fault;
	bool walled;
	uint64_t tick_us; /* when it is called next; UINT64_MAX: not at all */
	uint8_t *held;    /* by chunk */
	unsigned next_prefetch, prefetching;
	unsigned at, die_at; /* in the trace */
	bool reading, read_done;
	uint64_t random;
	uint64_t began_us, done_us; /* UINT64_MAX: not yet */
	uint64_t read_us;
	unsigned waits; /* reads that had to wait */
	uint64_t longest_us;
	unsigned wrong; /* chunks that were accepted and are wrong */
	uint64_t inverted;
};

/* A fresh world, its origin up, its nodes to join as the parameters say. */
struct world *world_new(const struct world_params *params);
struct world *world_free(struct world *world);
/* Runs until all live nodes are through, at most until `until_us`. True when they are. */
bool world_run(struct world *world, uint64_t until_us);
uint64_t world_now(const struct world *world);

void world_origin_off(struct world *world);
void world_origin_on(struct world *world);
/* All nodes are switched off and on again, with what they hold on their disks. */
void world_reboot(struct world *world, uint64_t spread_us);
/* The first `count` nodes and the origin cannot reach the others, until it is called with 0. */
void world_split(struct world *world, unsigned count);
struct host *world_node(struct world *world, unsigned number);

struct world_result {
	double origin;       /* bytes the origin sent ÷ bytes of the trace */
	double control;      /* bytes of everything else ÷ bytes of chunks that nodes got */
	double p50_s, p99_s; /* from a node's start to the end of its trace */
	unsigned done, alive, wrong;
	double waits;          /* share of reads that waited */
	double longest_s;      /* a read waited */
	struct swarm_stat sum; /* of all nodes */
	uint64_t inverted;     /* parts of no demand sent while one of a demand could have been */
};
void world_result(struct world *world, struct world_result *ret);

/* world_net.c: what world.c builds on. */
struct world_events;
typedef void world_event_fn(struct world *world, void *subject, uint64_t argument);
void world_after(struct world *world, uint64_t wait_us, world_event_fn *run, void *subject,
	uint64_t argument);
struct world_net {
	struct event_item *heap;
	size_t len, cap;
	uint64_t now_us, sequence;
	struct wire *wires;
	uint64_t data_bytes, control_bytes; /* sent: frames with parts, all others */
};
struct world_net *world_net(struct world *world);
void world_net_done(struct world *world);
bool world_step(struct world *world); /* runs the next event; false: there is none */
struct wire *wire_open(struct world *world, struct host *from, struct host *to);
/* One side closes; the other is told when `tell`, after the latency. */
void wire_close(struct wire *wire, int side, bool tell);
void wire_send(struct wire *wire, int side, const struct message *message, bool taint);
bool wire_has_room(struct wire *wire, int side);
void wire_unref(struct wire *wire);
void wire_wake(struct world *world, struct host *host); /* its group changed */
/* world.c: what the network calls. */
void world_received(struct wire *wire, int side, const struct message *message);
void world_room(struct wire *wire, int side);
void world_closed(struct wire *wire, int side);
uint64_t world_latency(const struct world *world);
bool world_can_reach(const struct host *a, const struct host *b);

#endif
