/* SPDX-License-Identifier: MIT */
#ifndef POOL_TWIN_H
#define POOL_TWIN_H

/* Files of one store path that are identical: found by SHA-256 among those of the same size. */

#include "base/digest.h"
#include "pool/walk.h"

struct twins {
	struct twin {
		struct digest digest;
		uint32_t node;
		bool used;
	} * table;        /* open addressing */
	size_t mask, len; /* size - 1, entries */
	uint8_t *seen;    /* per class: a file of it is in the table */
	/* Where classes are made as files come: the class of each size. */
	struct twin_size {
		uint64_t size; /* 0: a free place */
		uint32_t twin_class;
	} * sizes;
	size_t sizes_mask;
};

#define AUTO_TWINS AUTO(twins_done) struct twins
int twins_init(struct twins *twins, const struct walk *walk, struct err *err);
void twins_done(struct twins *twins);

/*
 * The class of files of `size` (not 0), made when it is new: for a walk that does not know
 * beforehand which files share their sizes. ERR_NOMEM.
 */
int twins_class(struct twins *twins, struct walk *walk, uint64_t size, uint32_t *ret_class,
	struct err *err);

/* True when a file of this class was put, so that it pays to hash before storing. */
bool twins_expected(const struct twins *twins, uint32_t twin_class);
/* The node that has the same contents (1), or 0 after remembering this one. */
int twins_find(struct twins *twins, const struct walk *walk, uint32_t node,
	const struct digest *digest, uint32_t *ret_node, struct err *err);

#endif
