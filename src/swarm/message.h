/* SPDX-License-Identifier: MIT */
#ifndef SWARM_MESSAGE_H
#define SWARM_MESSAGE_H

/*
 * The link protocol: what nodes say to each other and to the origin, over one connection that both
 * sides use for requests. It begins as HTTP, "GET /v1/link" with "Upgrade: snowboot-link/1", so
 * that one port serves everything. Then frames: u32 length of the rest, u8 type, payload;
 * little-endian. docs/formats/link.md has every field and bound.
 */

#include "base/buf.h"
#include "base/vec.h"
#include "manifest/chunk.h"

#include <stdbool.h>

#define LINK_PATH "/v1/link"
#define LINK_UPGRADE "snowboot-link/1"
#define LINK_FRAME_MAX (256u * 1024)  /* bytes, with its length field */
#define LINK_FRAME_SMALL (32u * 1024) /* enough for all but MEMBERS, which origins alone send */
#define LINK_PART_SIZE (16u * 1024)   /* bytes of a chunk in one frame: what a demand waits for */
#define LINK_ITEMS_MAX 256            /* chunks of one request, touches of one report */
#define LINK_MEMBERS_MAX 1000         /* of one frame; more come in further frames */
#define LINK_TEXT_MAX 255             /* bytes of a text */
#define LINK_SUSPECTS_MAX 16
#define LINK_COUNTERS 16 /* of a heartbeat, enum message_counter; unknown ones are 0 */

struct node_id {
	uint8_t bytes[16];
};

struct node_address {
	uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint16_t port;  /* 0: accepts no connections */
};

#define SITE_SIZE 32
#define INVENTORY_SIZE 128
struct member {
	struct node_id id;
	struct node_address address;
	char site[SITE_SIZE];              /* "": the default one */
	uint8_t inventory[INVENTORY_SIZE]; /* a bit for each bucket of which it has something */
};

enum message_type {
	/* node → origin */
	MESSAGE_JOIN = 1,  /* member, system, serial, version */
	MESSAGE_HEARTBEAT, /* epoch known, step and percent of the boot, counters, inventory */
	MESSAGE_TOUCHES,   /* first touches since the last one, in order */
	MESSAGE_LEAVE,
	/* origin → node */
	MESSAGE_WELCOME, /* swarm token, heartbeat period, epoch; MEMBERS follow */
	MESSAGE_MEMBERS, /* from epoch to epoch: who came or changed, who went */
	/* node ↔ node, first frame each way */
	MESSAGE_HELLO, /* swarm token, member */
	/* anybody to anybody */
	MESSAGE_REQUEST, /* first id, epoch, flags, items: ids count up from the first */
	MESSAGE_PART,    /* id, offset, bytes of the chunk, in order; offset 0 again: starts over */
	MESSAGE_ASK,    /* id, node, address: that one has it or is fetching it (lease, redirect) */
	MESSAGE_FAIL,   /* id, reason: not held, busy (retry in ms), refused, gone wrong */
	MESSAGE_CANCEL, /* id */
	MESSAGE_BAD,    /* digest: what you sent me did not match; re-hash your copy */
	/* "Are you still at it?", answered by a PART without bytes. Goes on along the chain of
	 * those who wait for each other; when it comes back to its sender, they wait in a circle.
	 */
	MESSAGE_PROBE, /* id of the request that waits, node, hops left */
};

enum request_flags {
	REQUEST_DEMAND = 1 << 0,    /* somebody waits for it */
	REQUEST_ONLY_HELD = 1 << 1, /* do not fetch it for me; places are left out */
	REQUEST_FORCE = 1 << 2,     /* who you named did not deliver */
	REQUEST_BULK = 1 << 3,      /* nobody waits and nobody will soon; without both: prefetch */
	REQUEST_NAMED = 1 << 4, /* with ONLY_HELD: you were named, so it may be on its way to you */
};

enum fail_reason {
	FAIL_NOT_HELD = 1,
	FAIL_BUSY,    /* again after retry_ms */
	FAIL_REFUSED, /* will never be given: private, banned */
	FAIL_BROKEN,  /* it was there, and went wrong on the way */
};

enum message_counter {
	COUNTER_MEMORY_BYTES, /* given to readers from each source, bytes */
	COUNTER_DISK_BYTES,
	COUNTER_PEER_BYTES,
	COUNTER_ORIGIN_BYTES,
	COUNTER_UPLOADED_BYTES,
	COUNTER_HEDGES,
	COUNTER_REDIRECTS,
	COUNTER_LEASE_WAITS,
	COUNTER_EVICTED,
	COUNTER_CORRUPT,
	COUNTER_PEERS, /* links to peers that are up */
	COUNTER_READS,
	COUNTER_MISSES, /* reads that waited for the network */
};

typedef VEC(struct member) members;
typedef VEC(struct node_id) node_ids;
typedef VEC(struct chunk) chunks;

struct message {
	enum message_type type;
	union {
		struct {
			struct member member;
			uint8_t mac[6];   /* of the card that it booted by; zeros: unknown */
			uint64_t tracker; /* the one whose epoch is known; 0: none */
			uint64_t epoch;
			uint64_t serial;
			char *system, *version;
		} join;
		struct {
			uint64_t epoch;
			char *step;
			uint8_t percent;
			uint64_t counters[LINK_COUNTERS];
			uint8_t inventory[INVENTORY_SIZE];
			node_ids suspects; /* that cannot be connected to, give wrong bytes or fail
					again and again */
		} heartbeat;
		chunks touches;
		struct {
			uint8_t token[16];
			uint64_t tracker; /* random: another one counts other epochs */
			uint32_t heartbeat_ms;
			bool all; /* forget the members you know: all follow */
		} welcome;
		struct {
			uint64_t from, to; /* epochs */
			members came;
			node_ids gone;
		} members;
		struct {
			uint8_t token[16];
			struct member member;
		} hello;
		struct {
			uint32_t first;
			uint32_t epoch; /* low bits */
			uint8_t flags;
			chunks items; /* without a place (object, off) when REQUEST_ONLY_HELD */
		} request;
		struct {
			uint32_t id, off, len;
			const void *bytes; /* within the frame that was decoded */
		} part;
		struct {
			uint32_t id;
			struct node_id node;
			struct node_address address;
		} ask;
		struct {
			uint32_t id;
			enum fail_reason reason;
			uint32_t retry_ms;
		} fail;
		struct {
			uint32_t id;
		} cancel;
		struct digest bad;
		struct {
			uint32_t id; /* of the request that waits */
			struct node_id node;
			uint8_t hops;
		} probe;
	};
};

#define AUTO_MESSAGE AUTO(message_done) struct message
void message_done(struct message *message);

/* Appends the frame. ERR_NOMEM; ERR_LIMIT when a list or a text is longer than its bound. */
int message_encode(const struct message *message, struct buf *out, struct err *err);
/* Bytes of the frame, without encoding it. */
size_t message_size(const struct message *message);
/*
 * Looks at the beginning of what arrived: 1 and the size of the first frame (which may not be whole
 * yet), 0 when not even that is known, ERR_CORRUPT for a frame that is none.
 */
int message_frame(const void *data, size_t len, size_t *ret_size, struct err *err);
/* Reads one whole frame. A part's bytes stay where they are. ERR_CORRUPT, ERR_NOMEM. */
int message_decode(const void *frame, size_t size, struct message *ret, struct err *err);

bool node_id_equal(const struct node_id *a, const struct node_id *b);
bool node_address_equal(const struct node_address *a, const struct node_address *b);
/* "192.0.2.1:80" or "[2001:db8::1]:80", and returns `out`. */
#define NODE_ADDRESS_TEXT_SIZE 56
char *node_address_text(const struct node_address *address, char out[NODE_ADDRESS_TEXT_SIZE]);

#endif
