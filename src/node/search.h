/* SPDX-License-Identifier: MIT */
#ifndef NODE_SEARCH_H
#define NODE_SEARCH_H

/* Finds the manifest to boot: at the origins in their order, else the last good one. */

#include "cache/cache.h"
#include "http/client.h"
#include "manifest/manifest.h"
#include "node/node.h"

struct node_search;

struct node_search_ops {
	/* What goes on, for a user: "no origin answers". Borrowed for the call. */
	void (*progress)(const char *text, void *data);
	/*
	 * The end: a manifest that was checked, whose contents are the callee's, and its text; or
	 * failure, when every origin answered and none has one that may be booted. The search may
	 * be freed from here. Never called from node_search_new().
	 */
	void (*done)(struct manifest *take_manifest, const struct buf *text,
		const struct err *failure, void *data);
	void *data;
};

/* All that it is given must outlive it. */
int node_search_new(struct event_base *base, const struct node_config *config,
	struct http_client *client, struct cache *cache, const struct node_search_ops *ops,
	struct node_search **ret, struct err *err);
struct node_search *node_search_free(struct node_search *search);

/* Keeps it for the next boot: its serial, so that no older one is taken, and its text. */
void node_search_remember(
	struct cache *cache, const struct manifest *manifest, const struct buf *text);

#endif
