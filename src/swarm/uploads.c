/* SPDX-License-Identifier: MIT */
/*
 * The order in which parts go out. Absolute priorities need one concession: a demand whose link is
 * full for the moment must not idle the uplink for ever, so a lower priority may go when no demand
 * has moved for DEMAND_QUIET_US. It knows links only as owners of queues.
 */
#include "swarm/uploads.h"

#include "swarm/message.h"

#define DEMAND_QUIET_US 20000
#define BURST_US 50000 /* of the limit that may go at once */

void upload_queue_init(struct uploads *uploads, struct upload_queue *queue, void *owner)
{
	*queue = (struct upload_queue){.uploads = uploads, .owner = owner};
	for (int p = 0; p < SWARM_PRIORITIES; p++)
		queue->lanes[p].queue = queue;
}

/* Behind all others, whose turn comes before. */
static void ring_add(struct upload_lane **turn, struct upload_lane *lane)
{
	if (*turn == NULL) {
		lane->prev = lane->next = *turn = lane;
		return;
	}
	lane->next = *turn;
	lane->prev = (*turn)->prev;
	lane->prev->next = lane;
	lane->next->prev = lane;
}

static void ring_remove(struct upload_lane **turn, struct upload_lane *lane)
{
	if (*turn == lane)
		*turn = lane->next != lane ? lane->next : NULL;
	lane->next->prev = lane->prev;
	lane->prev->next = lane->next;
}

void upload_add(struct upload_queue *queue, struct upload *upload)
{
	struct upload_lane *lane = &queue->lanes[upload->priority];
	if (lane->first == NULL)
		ring_add(&queue->uploads->turn[upload->priority], lane);
	upload->queue = queue;
	upload->next = NULL;
	upload->prev = lane->last;
	*(lane->last != NULL ? &lane->last->next : &lane->first) = upload;
	lane->last = upload;
	queue->len++;
}

void upload_remove(struct upload *upload)
{
	struct upload_queue *queue = upload->queue;
	if (queue == NULL)
		return;
	struct upload_lane *lane = &queue->lanes[upload->priority];
	*(upload->prev != NULL ? &upload->prev->next : &lane->first) = upload->next;
	*(upload->next != NULL ? &upload->next->prev : &lane->last) = upload->prev;
	if (lane->first == NULL)
		ring_remove(&queue->uploads->turn[upload->priority], lane);
	queue->len--;
	upload->queue = NULL;
}

void upload_raise(struct upload *upload, enum swarm_priority priority)
{
	struct upload_queue *queue = upload->queue;
	if (priority <= upload->priority)
		return;
	upload_remove(upload);
	upload->priority = priority;
	if (queue != NULL)
		upload_add(queue, upload);
}

/* The first upload of a lane that has bytes to give. */
static struct upload *lane_ready(const struct upload_lane *lane)
{
	for (struct upload *u = lane->first; u != NULL; u = u->next)
		if (u->avail > u->off)
			return u;
	return NULL;
}

/* *ret_blocked: there are bytes to give, but only to links that are full. */
static struct upload *ring_next(struct uploads *uploads, int p, bool *ret_blocked)
{
	struct upload_lane *lane = uploads->turn[p];
	*ret_blocked = false;
	if (lane == NULL)
		return NULL;
	do {
		struct upload *upload = lane_ready(lane);
		if (upload != NULL && uploads->has_room(lane->queue->owner))
			return upload;
		*ret_blocked |= upload != NULL;
		lane = lane->next;
	} while (lane != uploads->turn[p]);
	return NULL;
}

static void refill(struct uploads *uploads, uint64_t now_us)
{
	uint64_t passed = now_us - uploads->filled_us;
	if (passed > BURST_US)
		passed = BURST_US;
	int64_t most = (int64_t)(uploads->limit * BURST_US / 1000000) + LINK_PART_SIZE;
	uploads->tokens += (int64_t)(uploads->limit * passed / 1000000);
	if (uploads->tokens > most)
		uploads->tokens = most;
	/* Too little for a byte is kept for the next time. */
	if (uploads->limit * passed >= 1000000)
		uploads->filled_us = now_us;
}

struct upload *uploads_next(struct uploads *uploads, uint64_t now_us, uint64_t *ret_later)
{
	*ret_later = UINT64_MAX;
	if (uploads->limit != 0) {
		refill(uploads, now_us);
		if (uploads->tokens <= 0) {
			uint64_t need = (uint64_t)(1 - uploads->tokens) * 1000000;
			*ret_later = now_us + need / uploads->limit + 1;
			return NULL;
		}
	}
	for (int p = SWARM_DEMAND; p >= SWARM_BULK; p--) {
		bool blocked;
		struct upload *upload = ring_next(uploads, p, &blocked);
		if (upload != NULL)
			return upload;
		if (p == SWARM_DEMAND && blocked && now_us - uploads->demand_us < DEMAND_QUIET_US) {
			*ret_later = uploads->demand_us + DEMAND_QUIET_US;
			return NULL;
		}
	}
	return NULL;
}

void uploads_gave(struct uploads *uploads, struct upload *upload, uint32_t len, uint64_t now_us)
{
	upload->off += len;
	uploads->turn[upload->priority] = upload->queue->lanes[upload->priority].next;
	if (upload->priority == SWARM_DEMAND)
		uploads->demand_us = now_us;
	if (uploads->limit != 0)
		uploads->tokens -= len;
}
