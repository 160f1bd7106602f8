/* SPDX-License-Identifier: MIT */
#ifndef POOL_PACKER_H
#define POOL_PACKER_H

/*
 * What packing a store path has in common, wherever its files come from: blocks, fragments, and
 * files that share them. The same files in the same order give the same bytes.
 */

#include "pool/assemble.h"
#include "pool/output.h"
#include "pool/pack.h"
#include "pool/twin.h"
#include "pool/walk.h"

struct packer {
	struct walk *walk;
	struct output output;
	struct twins twins;
	struct assembly assembly;
	uint8_t *tails, *file; /* the thread's scratch: the fragment being filled; a small file */
	uint32_t tails_len;
	pack_progress_fn *progress;
	void *data;
	uint64_t reported; /* bytes that `progress` was not told of yet */
};

void packer_init(struct packer *p, struct pool *pool, struct hand *hand, struct walk *walk);
void packer_done(struct packer *p);

/* Counts bytes of files that were read. */
void packer_report(struct packer *p, uint64_t size);
/* Ends the fragment being filled, if any. */
int packer_flush_tails(struct packer *p, struct err *err);
/* Puts the end of a file, or a whole small one, into the fragment being filled. */
int packer_add_tail(
	struct packer *p, struct node *node, const uint8_t *data, uint32_t size, struct err *err);
/* 1 when another file has the contents that were hashed (twins_hash_update()); `node` then shares
 * its place. Else it is remembered. */
int packer_find_twin(struct packer *p, struct node *node, struct err *err);

#endif
