/* SPDX-License-Identifier: MIT */
#ifndef POOL_TWIN_H
#define POOL_TWIN_H

/*
 * Files of one store path that are identical: found by a hash of their contents, UMAC-128 under a
 * key that is drawn for each store path. It names nothing outside, so it has only to tell files
 * apart: two that differ have the same hash with a probability of 2^-120 whoever made them, since
 * nobody knows the key (RFC 4418, section 6.2), and it takes a quarter of the time of SHA-256.
 */

#include "pool/walk.h"

#include <nettle/umac.h>

struct twin_hash {
	uint8_t bytes[UMAC128_DIGEST_SIZE];
};

struct twins {
	struct twin {
		struct twin_hash hash;
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
	struct umac128_ctx umac; /* the file that is being hashed */
};

#define AUTO_TWINS AUTO(twins_done) struct twins
/* ERR_NOMEM, ERR_IO. */
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

/* Hashes a file, one at a time. */
void twins_hash_begin(struct twins *twins);
void twins_hash_update(struct twins *twins, const void *data, size_t size);
struct twin_hash twins_hash_end(struct twins *twins);
/* The node that has the same contents (1), or 0 after remembering this one. */
int twins_find(struct twins *twins, const struct walk *walk, uint32_t node,
	const struct twin_hash *hash, uint32_t *ret_node, struct err *err);

#endif
