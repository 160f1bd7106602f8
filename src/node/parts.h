/* SPDX-License-Identifier: MIT */
#ifndef NODE_PARTS_H
#define NODE_PARTS_H

/* A node's state, for the files that make up a node: node.c, start.c, status.c, routes.c. */

#include "node/bootend.h"
#include "node/gather.h"
#include "node/hidden.h"
#include "node/neighbours.h"
#include "node/node.h"
#include "node/prefetch.h"
#include "node/reader.h"
#include "node/search.h"
#include "node/system.h"

struct event;
struct node_routes;
struct nbd_listener;

/* Bytes so far, to tell rates from. */
struct node_sample {
	uint64_t read, received, uploaded;
};

struct node {
	struct event_base *base;
	const struct node_config *config;
	struct node_ops ops;
	struct http_client *client;
	struct node_sources sources;
	struct event *begin;  /* once the cache is ready */
	struct event *second; /* ticks */
	struct node_routes *routes;
	struct node_bootend *bootend;       /* or NULL */
	struct node_neighbours *neighbours; /* of the swarm; or NULL */
	struct node_address listen;
	uint64_t begun_us, ready_us, told_us;
	bool handed_over; /* by stage 1, which told so */
	uint64_t up_us;   /* when the system told that it is up; 0: not yet */
	char step[32];
	unsigned percent;
	struct err failure;
	struct node_sample last, rate; /* at the last tick; bytes a second */
	unsigned ticks;
	int statm; /* of procfs, open since it may go out of sight; or -1 */

	/* Starting, start.c. */
	struct node_search *search;
	struct node_gather *gather;
	VEC(struct node_gather_item) items;
	struct catalog catalog; /* until it is the system's */

	/* What is served. */
	struct manifest manifest;
	struct buf manifest_text;
	bool ready;
	struct node_system system;
	struct node_reader *reader;
	struct node_prefetch *prefetch;
	struct node_hidden hidden;
	struct profile touches; /* in the order of this boot */
	uint64_t touched;       /* chunks */
	struct nbd_listener *listener;
	struct nbd_export kernel_export;
	VEC(struct nbd_connection *) kernel; /* connections of node_serve_kernel() */
	char identifier[DIGEST_HEX_SIZE];
};

/* start.c: begins to look for the manifest, and does all up to NODE_READY. */
void node_start(struct node *node);
void node_start_cancel(struct node *node);

/* node.c */
void node_tell(struct node *node, const char *step, unsigned percent);
void node_failed(struct node *node, const struct err *failure);
int node_join(struct node *node, struct err *err); /* makes the swarm */
/* Never gives these private chunks to peers; takes the digests over. */
int node_hide(struct node *node, node_digests *take_digests, struct err *err);
int node_open_system(struct node *node, struct err *err); /* reader, NBD, prefetch */

/* routes.c: HTTP on the port and on the unix socket. */
int node_routes_new(struct node *node, struct node_routes **ret, struct err *err);
struct node_routes *node_routes_free(struct node_routes *routes);
uint16_t node_routes_port(const struct node_routes *routes);

/* status.c */
int node_metrics(struct node *node, struct buf *out, struct err *err);
struct node_sample node_sample(const struct node *node);

#endif
