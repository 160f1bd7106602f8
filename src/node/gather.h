/* SPDX-License-Identifier: MIT */
#ifndef NODE_GATHER_H
#define NODE_GATHER_H

/* Gets many blobs whole into memory, many pieces at once. */

#include "node/fetch.h"

struct node_gather;

struct node_gather_item {
	const struct blob *blob; /* as long as the gathering; size 0 is fine */
	bool is_private;
	uint8_t *data;  /* blob->size bytes once it is done; the item's owner frees it */
	size_t missing; /* pieces */
};

struct node_gather_ops {
	/* Bytes that are there by now. */
	void (*progress)(uint64_t done, uint64_t total, void *data);
	/* All are there, or failure: ERR_NOMEM, ERR_CORRUPT when a blob's pieces do not make it up.
	 * Never called from node_gather_new(). */
	void (*done)(const struct err *failure, void *data);
	void *data;
};

/* `items` stay the caller's and must outlive it. */
int node_gather_new(struct event_base *base, struct node_sources *sources,
	struct node_gather_item *items, size_t count, const struct node_gather_ops *ops,
	struct node_gather **ret, struct err *err);
/* May be called from `done`. NULL is fine; returns NULL. */
struct node_gather *node_gather_free(struct node_gather *gather);

#endif
