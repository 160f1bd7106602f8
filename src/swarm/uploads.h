/* SPDX-License-Identifier: MIT */
#ifndef SWARM_UPLOADS_H
#define SWARM_UPLOADS_H

/*
 * What one machine, a node or the origin, has to give, and which part of it goes next: demands
 * before prefetch before bulk, the links of one priority in turn, the uploads of one link in
 * order, all within a limit of the uplink.
 */

#include "manifest/chunk.h"
#include "swarm/stat.h"

/* Something to be given to one link. Embedded in what its owner knows about it. */
struct upload {
	struct upload *prev, *next; /* in its lane */
	struct upload_queue *queue; /* NULL: in none */
	enum swarm_priority priority;
	uint32_t id;       /* of the request */
	uint32_t off, len; /* given; in all */
	uint32_t avail;    /* can be given now; the rest is still arriving */
};

/* The uploads of one link and one priority, in order. */
struct upload_lane {
	struct upload *first, *last;
	struct upload_lane *prev, *next; /* in the ring of those that have any */
	struct upload_queue *queue;
};

/* The uploads of one link. */
struct upload_queue {
	struct upload_lane lanes[SWARM_PRIORITIES];
	struct uploads *uploads;
	void *owner;
	unsigned len;
};

/* All of them. Zeroed memory with has_room set is empty. */
struct uploads {
	struct upload_lane *turn[SWARM_PRIORITIES]; /* in its ring; NULL: no uploads */
	uint64_t limit;                             /* bytes a second; 0: none */
	int64_t tokens;                             /* bytes that may go now */
	uint64_t filled_us;                         /* when tokens were counted last */
	uint64_t demand_us;                         /* when a part of a demand went last */
	bool (*has_room)(void *owner);              /* whether a link takes another part now */
};

void upload_queue_init(struct uploads *uploads, struct upload_queue *queue, void *owner);
void upload_add(struct upload_queue *queue, struct upload *upload);
void upload_remove(struct upload *upload); /* one that is in no queue is fine */
void upload_raise(struct upload *upload, enum swarm_priority priority);

/*
 * The upload whose next part goes now, NULL when none can. *ret_later is set to when to look again
 * because of the limit, else UINT64_MAX. The caller sends min(avail - off, LINK_PART_SIZE) bytes
 * and calls uploads_gave().
 */
struct upload *uploads_next(struct uploads *uploads, uint64_t now_us, uint64_t *ret_later);
void uploads_gave(struct uploads *uploads, struct upload *upload, uint32_t len, uint64_t now_us);

#endif
