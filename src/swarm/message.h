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

#define LINK_UPGRADE "snowboot-link/1"
#define LINK_FRAME_MAX (256u * 1024) /* bytes */
#define LINK_PART_SIZE (16u * 1024)  /* bytes of a chunk in one frame: what a demand waits for */
#define LINK_ITEMS_MAX 256           /* chunks of one request */

struct node_id {
	uint8_t bytes[16];
};

struct node_address {
	uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint16_t port;  /* 0: accepts no connections */
};

struct member {
	struct node_id id;
	struct node_address address;
	char site[32];          /* "": the default one */
	uint8_t inventory[128]; /* a bit for each bucket of which it has something */
};

enum message_type {
	/* node → origin */
	MESSAGE_JOIN = 1,  /* member, system, serial, version */
	MESSAGE_HEARTBEAT, /* epoch known, step and percent of the boot, counters, inventory */
	MESSAGE_TOUCHES,   /* first touches since the last one, in order */
	MESSAGE_LEAVE,
	/* origin → node */
	MESSAGE_WELCOME, /* swarm token, heartbeat period, epoch, all members */
	MESSAGE_MEMBERS, /* from epoch to epoch: who came, who went */
	/* node ↔ node, first frame each way */
	MESSAGE_HELLO, /* swarm token, member */
	/* anybody to anybody */
	MESSAGE_REQUEST, /* first id, epoch, flags, items: ids count up from the first */
	MESSAGE_PART,    /* id, offset, bytes of the chunk, in order */
	MESSAGE_ASK,     /* id, address: that one has it or is fetching it (lease, redirect) */
	MESSAGE_FAIL,    /* id, reason: not held, busy (retry in ms), refused, gone wrong */
	MESSAGE_CANCEL,  /* id */
	MESSAGE_BAD,     /* digest: what you sent me did not match; re-hash your copy */
};

enum request_flags {
	REQUEST_DEMAND = 1 << 0,    /* somebody waits for it; else prefetch */
	REQUEST_ONLY_HELD = 1 << 1, /* look-aside: do not fetch it for me */
	REQUEST_FORCE = 1 << 2,     /* to the origin: who you named did not deliver */
};

#endif
