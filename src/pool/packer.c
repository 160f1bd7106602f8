/* SPDX-License-Identifier: MIT */
/* Fragments and shared files. Who reads the files, and how, is the business of who packs them. */
#include "pool/packer.h"

#include <string.h>

#define REPORT_BYTES (1u << 20)

void packer_init(struct packer *p, struct pool *pool, struct hand *hand, struct walk *walk)
{
	uint8_t **scratch = crew_scratch(hand);
	*p = (struct packer){.walk = walk, .tails = scratch[0], .file = scratch[1]};
	output_init(&p->output, pool, hand);
}

void packer_done(struct packer *p)
{
	if (p->progress != NULL)
		p->progress(p->data, p->reported);
	output_done(&p->output);
	twins_done(&p->twins);
	assembly_done(&p->assembly);
}

void packer_report(struct packer *p, uint64_t size)
{
	p->reported += size;
	if (p->progress == NULL || p->reported < REPORT_BYTES)
		return;
	p->progress(p->data, p->reported);
	p->reported = 0;
}

int packer_flush_tails(struct packer *p, struct err *err)
{
	if (p->tails_len == 0)
		return 0;
	struct slot *slot = output_slot(&p->output, err);
	if (slot == NULL)
		return -1;
	memcpy(slot->in, p->tails, p->tails_len);
	slot->in_len = p->tails_len;
	p->tails_len = 0;
	uint32_t block;
	if (output_block(&p->output, slot, &block, err) < 0)
		return -1;
	return assembly_fragment(&p->assembly, block, err);
}

int packer_add_tail(
	struct packer *p, struct node *node, const uint8_t *data, uint32_t size, struct err *err)
{
	if (size > TREE_BLOCK_SIZE - p->tails_len && packer_flush_tails(p, err) < 0)
		return -1;
	node->fragment = assembly_fragment_count(&p->assembly);
	node->fragment_off = p->tails_len;
	memcpy(p->tails + p->tails_len, data, size);
	p->tails_len += size;
	return 0;
}

int packer_find_twin(struct packer *p, struct node *node, struct err *err)
{
	struct twin_hash hash = twins_hash_end(&p->twins);
	uint32_t number = (uint32_t)(node - p->walk->nodes.items), other;
	int r = twins_find(&p->twins, p->walk, number, &hash, &other, err);
	if (r > 0) {
		const struct node *twin = &p->walk->nodes.items[other];
		node->block = twin->block;
		node->fragment = twin->fragment;
		node->fragment_off = twin->fragment_off;
	}
	return r;
}
