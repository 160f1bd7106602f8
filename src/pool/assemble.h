/* SPDX-License-Identifier: MIT */
#ifndef POOL_ASSEMBLE_H
#define POOL_ASSEMBLE_H

/* The tree of a packed store path, made when all blocks have their places. */

#include "pool/output.h"
#include "pool/pack.h"
#include "pool/walk.h"

struct assembly {
	VEC(uint32_t) fragments; /* of each: the number of its block */
};

void assembly_done(struct assembly *assembly);
int assembly_fragment(struct assembly *assembly, uint32_t block, struct err *err);
uint32_t assembly_fragment_count(const struct assembly *assembly);

/* Ends the output, writes the tree, and gives both. */
int assembly_finish(struct assembly *assembly, struct walk *walk, struct output *output,
	struct packed *ret, struct err *err);

#endif
