/* SPDX-License-Identifier: MIT */
#ifndef NODE_SYSTEM_H
#define NODE_SYSTEM_H

/*
 * A system as a node offers it: the composed image, and which chunk has which of its bytes. The
 * tables of trees are gone when it is made, so this is what a node needs of memory for a system.
 */

#include "image/image.h"
#include "manifest/catalog.h"
#include "manifest/profile.h"

/* A segment and the chunks that it is cut into. */
struct node_segment {
	struct chunk_table table;
	bool is_private;
	uint32_t member;  /* the first in the catalog that has it */
	uint8_t *touched; /* a bit for each chunk */
};

struct node_system {
	struct catalog catalog;
	struct digest id; /* of the catalog */
	struct image image;
	VEC(struct node_segment) segments; /* sorted by digest, distinct */
	uint32_t *extent_segments;        /* for each extent of the image; not for generated ones */
	uint32_t *member_segments;        /* for each member; NODE_NO_SEGMENT when it has no data */
	VEC(struct digest) pins;          /* every chunk and piece of it, sorted */
	uint64_t chunk_count, data_bytes; /* of all segments */
	uint64_t metadata_bytes;          /* generated: in memory as long as the system */
};

#define NODE_NO_SEGMENT UINT32_MAX

#define AUTO_NODE_SYSTEM AUTO(node_system_done) struct node_system
void node_system_done(struct node_system *system);

/* What a member consists of, as it came. */
struct node_member_bytes {
	const uint8_t *tree, *chunks; /* NULL when the blob is empty */
};

/*
 * Composes. Takes the catalog over, also on failure; `members` are parallel to its members.
 * ERR_CORRUPT when anything is not what the catalog says: whoever signed it composed in another
 * way.
 */
int node_system_make(struct catalog *take_catalog, const struct digest *id,
	const struct node_member_bytes *members, struct node_system *ret, struct err *err);

/* Bytes of memory for what maps places to chunks: tables, pins, marks, names. */
uint64_t node_system_index_bytes(const struct node_system *system);

/* A chunk in a system. */
struct node_place {
	uint32_t segment, chunk;
};
struct chunk node_system_chunk(const struct node_system *system, struct node_place place);
/* The place of a profile's entry; false when the system has no such. */
bool node_system_find(
	const struct node_system *system, struct profile_entry entry, struct node_place *ret);
/* Marks it: true when it was not touched before. */
bool node_system_touch(struct node_system *system, struct node_place place);

#endif
