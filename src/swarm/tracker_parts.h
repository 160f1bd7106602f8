/* SPDX-License-Identifier: MIT */
#ifndef SWARM_TRACKER_PARTS_H
#define SWARM_TRACKER_PARTS_H

/* What tracker.c (requests) and tracker_members.c (who is there) share. */

#include "swarm/leases.h"
#include "swarm/rendezvous.h"
#include "swarm/tracker.h"
#include "swarm/uploads.h"

/* A chunk on its way to a link. */
struct give {
	struct upload upload; /* first: the scheduler hands this back */
	struct chunk chunk;
	struct give *next; /* of the link */
	bool leased;       /* counted in its lease */
};

struct tracker_link {
	struct tracker *tracker;
	void *user;
	uint64_t who; /* its number, never used again */
	struct tracker_link *prev, *next;
	struct upload_queue queue;
	struct give *gives;
	uint64_t heard_us;
	int force_tokens; /* how often it may still say that a holder did not deliver */

	bool joined;
	bool replaced; /* the same node joined by another connection */
	struct member member;
	uint8_t percent;
	uint64_t known;        /* epoch that it was told */
	uint64_t suspect[2];   /* who could not connect to it */
	uint64_t suspected_us; /* when the second one said so; 0: it can be connected to */
};

/* One change of the membership. */
struct change {
	uint64_t epoch;
	struct node_id id;
};

#define TRACKER_CHANGES 4096 /* remembered; who knows less gets the whole list */
#define TRACKER_COVER 8      /* published inventories that are enough for a bucket */

struct tracker {
	struct tracker_params params;
	const struct tracker_ops *ops;
	void *data;
	struct tracker_link *links;
	unsigned links_len, members_len, suspected_len;
	VEC(struct tracker_link *) slots; /* by the low half of their number */
	uint64_t generation;
	struct uploads uploads;
	struct leases leases;

	uint64_t epoch;
	struct change changes[TRACKER_CHANGES]; /* of epoch e at e % TRACKER_CHANGES */
	uint64_t publish_us;                    /* when changes are sent; 0: nothing to send */
	uint16_t cover[BUCKETS];                /* how many published inventories have a bucket */
	struct tracker_stat stat;
};

void tracker_send(struct tracker_link *link, const struct message *message);
struct tracker_link *tracker_link_of(const struct tracker *tracker, uint64_t who);
struct tracker_link *tracker_find(const struct tracker *tracker, const struct node_id *id);
/* Others may be sent to it. */
bool tracker_can_serve(const struct tracker_link *link);

int tracker_join(
	struct tracker_link *link, const struct message *message, uint64_t now_us, struct err *err);
void tracker_heartbeat(struct tracker_link *link, const struct message *message, uint64_t now_us);
void tracker_leave(struct tracker_link *link, uint64_t now_us);
/* Sends what changed, when it is time; returns when to call again. */
uint64_t tracker_publish(struct tracker *tracker, uint64_t now_us);

#endif
