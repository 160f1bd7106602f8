/* SPDX-License-Identifier: MIT */
#ifndef POOL_CREW_H
#define POOL_CREW_H

/*
 * The threads that fill a pool. Each takes the next task (a store path to pack) while there are
 * any, cuts it into blocks, and compresses blocks whenever it would otherwise wait: its own first,
 * then those of others. So many small tasks run side by side without waiting for each other, and
 * one huge task uses every thread. Blocks lie in a fixed number of slots, which bounds the memory.
 */

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct crew;
struct hand; /* one thread of a crew */

/* A block on its way. */
struct slot {
	uint8_t *in; /* TREE_BLOCK_SIZE bytes of room */
	uint32_t in_len;
	uint8_t *out;        /* what was compressed, unless `word` says raw */
	uint32_t word;       /* stored size | TREE_BLOCK_RAW, once done */
	uint32_t number;     /* the task's own */
	struct slot *behind; /* the task's own queue */
	/* The crew's. */
	bool done;
	struct hand *owner;
	struct slot *next;
};

/* Does task i. */
typedef int crew_task_fn(void *data, struct hand *hand, size_t i, struct err *err);

/* How to run: zstd level, threads. */
struct crew_params {
	int level;
	unsigned jobs; /* at least 1 */
};

/*
 * Runs tasks 0 … count - 1 and returns when all have ended. After the first failure no further task
 * begins, those under way are asked to stop (crew_stopped()), and that failure is returned.
 */
int crew_run(const struct crew_params *params, size_t count, crew_task_fn *task, void *data,
	struct err *err);

/* True when the task may as well end, because another one failed. */
bool crew_stopped(struct hand *hand);
/* Two buffers of TREE_BLOCK_SIZE + 1 bytes that belong to the thread. */
uint8_t **crew_scratch(struct hand *hand);

/* A free slot, or NULL when there is none now. */
struct slot *crew_try_slot(struct hand *hand);
/* Waits for one; only for a task that holds none, or all might wait for each other. */
struct slot *crew_wait_slot(struct hand *hand);
/* Hands a filled slot over for compression. */
void crew_submit(struct hand *hand, struct slot *slot);
/* True when it is compressed. */
bool crew_is_done(const struct slot *slot);
/* Compresses until `slot` is. */
void crew_wait(struct hand *hand, struct slot *slot);
/* Gives a slot back. */
void crew_release(struct hand *hand, struct slot *slot);

#endif
