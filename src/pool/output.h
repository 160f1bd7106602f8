/* SPDX-License-Identifier: MIT */
#ifndef POOL_OUTPUT_H
#define POOL_OUTPUT_H

/*
 * A segment being written: blocks go in by order, are compressed by the crew in any order, and
 * reach the file in the order in which they went in.
 */

#include "base/digest.h"
#include "pool/crew.h"
#include "pool/object.h"

#include <nettle/sha2.h>

struct output {
	struct pool *pool;
	struct hand *hand;
	struct slot *first, **last; /* on their way, in order */
	struct buf words; /* of each block, little-endian u32: stored size | TREE_BLOCK_RAW */
	struct sha256_ctx hash;
	uint64_t size; /* bytes written */
	int fd;
	struct pending pending;
};

void output_init(struct output *output, struct pool *pool, struct hand *hand);
/* Waits for blocks that are on their way, and removes what was not taken. */
void output_done(struct output *output);
#define AUTO_OUTPUT AUTO(output_done) struct output

/* A slot to fill, NULL on failure. */
struct slot *output_slot(struct output *output, struct err *err);
/* Takes a filled slot: *ret_block is the block's number, in the order of the segment. */
int output_block(struct output *output, struct slot *slot, uint32_t *ret_block, struct err *err);
/* As output_block(), for a block of a file: zeros become a hole. */
int output_file_block(
	struct output *output, struct slot *slot, uint32_t *ret_block, struct err *err);
/* A block of zeros that takes no space. */
int output_hole(struct output *output, uint32_t *ret_block, struct err *err);
uint32_t output_block_count(const struct output *output);
/* Waits for all blocks; *ret_pending has no file when there was no data. */
int output_finish(struct output *output, struct pending *ret_pending, struct err *err);

#endif
