/* SPDX-License-Identifier: MIT */
#ifndef SWARM_TRACKER_H
#define SWARM_TRACKER_H

/*
 * The origin's side of the swarm, as decisions without I/O and with a clock that is handed in: who
 * is a member, who holds or fetches which chunk (leases), and which part of which chunk goes out
 * next. The caller owns the links (link.h) and the objects; docs/internals/swarm.md.
 *
 * A chunk goes out once; while it does, and later as long as a holder lives, others are told to ask
 * that holder. A holder that vanishes loses its leases, and the next who asks gets the chunk.
 */

#include "swarm/message.h"
#include "swarm/stat.h"

struct tracker;
struct tracker_link; /* one connection of a node */

struct tracker_params {
	uint64_t instance;     /* random, not 0 */
	uint8_t token[16];     /* random: what members show each other */
	uint64_t uplink;       /* bytes of chunks a second; 0: no limit */
	unsigned heartbeat_ms; /* 0: 5000; three missed ones and a node is gone */
};

struct tracker_ops {
	/* Queues a frame; must not call back into the tracker. Never a PART. */
	void (*send)(void *link, const struct message *message, void *data);
	/*
	 * Queues bytes [off, off + len) of a chunk as a PART for `id`. Asked for in order, and only
	 * while the link has room. Returns false when the object is not there or is too short: the
	 * request then fails with FAIL_NOT_HELD. Must not call back into the tracker.
	 */
	bool (*part)(void *link, uint32_t id, const struct chunk *chunk, uint32_t off, uint32_t len,
		void *data);
	/* Whether there is such a chunk, of that length: only of such is anything remembered. */
	bool (*has)(const struct chunk *chunk, void *data);
	/* Whether the link's queue takes another part now; else tracker_writable() is called. */
	bool (*has_room)(void *link, void *data);
};

int tracker_new(const struct tracker_params *params, const struct tracker_ops *ops, void *data,
	struct tracker **ret, struct err *err);
struct tracker *tracker_free(struct tracker *tracker); /* NULL is fine; returns NULL */

/* A node connected; `link` is what the ops get. */
int tracker_link_new(struct tracker *tracker, void *link, uint64_t now_us,
	struct tracker_link **ret, struct err *err);
/* Its connection ended: its leases are free, the others are told. NULL is fine; returns NULL. */
struct tracker_link *tracker_link_free(struct tracker_link *link, uint64_t now_us);
/*
 * A frame arrived. The caller looks at JOIN, HEARTBEAT, TOUCHES and LEAVE for its own purposes (a
 * status, a profile). ERR_CORRUPT: a message that has no place here; close the connection.
 */
int tracker_receive(
	struct tracker_link *link, const struct message *message, uint64_t now_us, struct err *err);
/* The link has room again. */
void tracker_writable(struct tracker_link *link, uint64_t now_us);
/*
 * Does what is due: sends members' changes, parts that the uplink's limit held back. Returns when
 * it wants to be called at the latest (now_us of then). To be called after every event, too.
 */
uint64_t tracker_tick(struct tracker *tracker, uint64_t now_us);
/* True when the node missed its heartbeats: the caller closes and frees the link. */
bool tracker_link_is_dead(const struct tracker_link *link, uint64_t now_us);

/* The member behind a link, NULL before its JOIN. */
const struct member *tracker_link_member(const struct tracker_link *link);
/*
 * A live member that accepts connections, is of that site (NULL: of any) and has had its whole boot
 * behind it when possible: for kernel and initramfs from a peer. NULL: there is none. `spread`
 * picks among several. Borrowed until the next event.
 */
const struct member *tracker_peer(const struct tracker *tracker, const char *site, uint64_t spread);

struct tracker_stat {
	uint64_t epoch;
	unsigned members, links;
	uint64_t chunks, bytes;       /* sent, of chunks; a chunk counts when it begins */
	uint64_t redirects;           /* answered with ASK */
	uint64_t forced;              /* asked again since the named one did not deliver */
	uint64_t control_bytes;       /* sent and received, everything but chunks */
	uint64_t leases, lease_frees; /* now; freed since the holder vanished */
};
void tracker_stat(const struct tracker *tracker, struct tracker_stat *ret);

#endif
