/* SPDX-License-Identifier: MIT */
#ifndef NODE_READER_H
#define NODE_READER_H

/* Answers reads of a system's image out of chunks. */

#include "nbd/server.h"
#include "node/fetch.h"
#include "node/system.h"

struct node_reader;

/* What reads of a system got: a read counts for the farthest tier that it waited for. */
struct node_reads {
	struct node_tier_stat tiers[NODE_TIERS];
	uint64_t waiting; /* reads that are not answered yet */
	uint64_t failed;  /* answered with an error: out of memory */
};

/* One read, for traces: when it came, since the reader was made. */
struct node_trace_entry {
	uint64_t us;
	uint64_t off;
	uint32_t len;
};
#define NODE_TRACE_MAX (1u << 15) /* entries; later reads are not kept */

/* `touched` is told each chunk that is read for the first time. What it is given outlives it;
 * `trace` is a file that gets a line for each read, or NULL. */
int node_reader_new(struct node_sources *sources, struct node_system *system, const char *trace,
	void (*touched)(struct node_place place, const struct chunk *chunk, void *data), void *data,
	struct node_reader **ret, struct err *err);
/* Reads that wait stay unanswered: the connections must be gone before. NULL is fine. */
struct node_reader *node_reader_free(struct node_reader *reader);

/* For nbd/server.h; valid as long as the reader. */
const struct nbd_export *node_reader_export(const struct node_reader *reader);
/* Forgets the reads of a connection that is gone, or of all (NULL). */
void node_reader_forget(struct node_reader *reader, const struct nbd_connection *connection);
/* To be called every second: says which chunk of which path nobody gives when a read waits for 10
 * s, again each time that has doubled, and when it is over. */
void node_reader_check(struct node_reader *reader, uint64_t now_us);
const struct node_reads *node_reader_stat(const struct node_reader *reader);
/* What was read, as lines of microseconds, offset and length. */
int node_reader_trace(const struct node_reader *reader, struct buf *out, struct err *err);

#endif
