/* SPDX-License-Identifier: MIT */
/*
 * The origin's list of members. Every change counts up an epoch; changes are gathered for a moment
 * and sent as a difference, so a thousand joins are no million messages. Inventories are large
 * beside the rest of a member, so only as many are published as make each bucket known
 * TRACKER_COVER times.
 */
#include "swarm/tracker_parts.h"

#include "base/vec.h"

#include <string.h>

#define GATHER_US 100000 /* for so long at least changes are gathered; more with more members */
#define GATHER_MEMBER_US 1000
#define SUSPECT_US 60000000 /* for so long nobody is sent to one that cannot be connected to */
#define SUSPECT_SHARE 4     /* no more than one of so many members is suspected at once */
#define PUBLISH_BITS 64     /* news of an inventory that are worth telling while it grows */

static void changed(struct tracker *tracker, const struct node_id *id, uint64_t now_us)
{
	tracker->epoch++;
	tracker->changes[tracker->epoch % TRACKER_CHANGES] =
		(struct change){.epoch = tracker->epoch, .id = *id};
	if (tracker->publish_us == 0)
		tracker->publish_us =
			now_us + GATHER_US + GATHER_MEMBER_US * (uint64_t)tracker->members_len;
}

struct tracker_link *tracker_find(const struct tracker *tracker, const struct node_id *id)
{
	for (struct tracker_link *link = tracker->links; link != NULL; link = link->next)
		if (link->joined && node_id_equal(&link->member.id, id))
			return link;
	return NULL;
}

static void cover(struct tracker *tracker, const uint8_t *inventory, int by)
{
	for (unsigned b = 0; b < BUCKETS; b++)
		if (inventory_has(inventory, b))
			tracker->cover[b] = (uint16_t)(tracker->cover[b] + by);
}

/* True when it is now to be published in place of what was. */
static bool inventory_news(
	struct tracker *tracker, struct member *member, const uint8_t *inventory, unsigned least)
{
	unsigned news = 0;
	for (unsigned b = 0; b < BUCKETS; b++)
		news += inventory_has(inventory, b) && !inventory_has(member->inventory, b) &&
			tracker->cover[b] < TRACKER_COVER;
	if (news < least)
		return false;
	cover(tracker, member->inventory, -1);
	memcpy(member->inventory, inventory, INVENTORY_SIZE);
	cover(tracker, member->inventory, 1);
	return true;
}

static void unsuspect(struct tracker_link *link)
{
	link->tracker->suspected_len -= link->suspected_us != 0;
	link->suspected_us = link->suspect[0] = link->suspect[1] = 0;
}

void tracker_leave(struct tracker_link *link, uint64_t now_us)
{
	struct tracker *tracker = link->tracker;
	if (!link->joined)
		return;
	link->joined = false;
	unsuspect(link);
	tracker->members_len--;
	cover(tracker, link->member.inventory, -1);
	changed(tracker, &link->member.id, now_us);
}

/* What others are told of a member: one that cannot be connected to has no port. */
static struct member shown(const struct tracker_link *link)
{
	struct member member = link->member;
	if (link->suspected_us != 0)
		member.address.port = 0;
	return member;
}

static void list_done(struct message *list)
{
	vec_done(&list->members.came);
	vec_done(&list->members.gone);
}

/* All members, in as many frames as they need; with none, one empty frame tells the epoch. */
static void send_all(struct tracker_link *to)
{
	struct tracker *tracker = to->tracker;
	struct err err = ERR_INIT;
	struct message list = {.type = MESSAGE_MEMBERS, .members = {.to = tracker->epoch}};
	for (struct tracker_link *link = tracker->links; link != NULL; link = link->next) {
		if (!link->joined || link == to)
			continue;
		if (vec_push(&list.members.came, shown(link), &err) < 0)
			break;
		if (list.members.came.len == LINK_MEMBERS_MAX) {
			tracker_send(to, &list);
			list.members.came.len = 0;
		}
	}
	tracker_send(to, &list);
	list_done(&list);
	to->known = tracker->epoch;
}

static bool listed(const struct message *list, const struct node_id *id)
{
	VEC_FOREACH(member, &list->members.came)
		if (node_id_equal(&member->id, id))
			return true;
	VEC_FOREACH(gone, &list->members.gone)
		if (node_id_equal(gone, id))
			return true;
	return false;
}

/* What changed behind `from`; false when that is too much for one frame or not known any more. */
static bool difference(const struct tracker *tracker, uint64_t from, struct message *list)
{
	struct err err = ERR_INIT;
	*list = (struct message){
		.type = MESSAGE_MEMBERS, .members = {.from = from, .to = tracker->epoch}};
	if (from > tracker->epoch || tracker->epoch - from > LINK_MEMBERS_MAX)
		return false;
	for (uint64_t e = tracker->epoch; e > from; e--) {
		const struct change *change = &tracker->changes[e % TRACKER_CHANGES];
		if (listed(list, &change->id))
			continue;
		const struct tracker_link *link = tracker_find(tracker, &change->id);
		int r = link != NULL ? vec_push(&list->members.came, shown(link), &err)
				     : vec_push(&list->members.gone, change->id, &err);
		if (r < 0)
			return false;
	}
	return true;
}

/* A node that was here and has no more than a few epochs to catch up gets these. */
static void welcome(struct tracker_link *link, uint64_t tracker_known, uint64_t epoch_known)
{
	struct tracker *tracker = link->tracker;
	struct message list;
	bool same = tracker_known == tracker->params.instance && epoch_known > 0;
	bool some = same && difference(tracker, epoch_known, &list);
	struct message message = {.type = MESSAGE_WELCOME,
		.welcome = {.tracker = tracker->params.instance,
			.heartbeat_ms = tracker->params.heartbeat_ms,
			.all = !some}};
	memcpy(message.welcome.token, tracker->params.token, sizeof(message.welcome.token));
	tracker_send(link, &message);
	if (!some) {
		send_all(link);
	} else {
		tracker_send(link, &list);
		link->known = tracker->epoch;
	}
	if (same)
		list_done(&list);
}

int tracker_join(
	struct tracker_link *link, const struct message *message, uint64_t now_us, struct err *err)
{
	struct tracker *tracker = link->tracker;
	const struct member *member = &message->join.member;
	struct tracker_link *before = tracker_find(tracker, &member->id);
	if (before != NULL && before != link) {
		tracker_leave(before, now_us);
		before->replaced = true;
	}
	bool again = link->joined;
	if (again && !node_id_equal(&link->member.id, &member->id))
		return err_raise(err, ERR_CORRUPT, "link: a node joins under two names");
	if (!again) {
		link->joined = true;
		link->member = (struct member){.id = member->id};
		tracker->members_len++;
	}
	link->member.address = member->address;
	memcpy(link->member.site, member->site, sizeof(link->member.site));
	unsuspect(link);
	(void)inventory_news(tracker, &link->member, member->inventory, 1);
	changed(tracker, &member->id, now_us);
	welcome(link, message->join.tracker, message->join.epoch);
	return 0;
}

/* Two members that say so are believed, for a while. */
static void suspect(struct tracker_link *by, const struct node_id *id, uint64_t now_us)
{
	struct tracker_link *link = tracker_find(by->tracker, id);
	if (link == NULL || link == by || link->suspected_us != 0 || link->suspect[0] == by->who)
		return;
	/* When many are suspected, the network or this judgement is at fault, not they. */
	struct tracker *tracker = by->tracker;
	if (tracker->suspected_len * SUSPECT_SHARE >= tracker->members_len)
		return;
	bool enough = link->suspect[0] != 0;
	link->suspect[link->suspect[0] != 0] = by->who;
	if (!enough)
		return;
	link->suspected_us = now_us;
	tracker->suspected_len++;
	changed(tracker, &link->member.id, now_us);
}

static void forgive(struct tracker_link *link, uint64_t now_us)
{
	if (link->suspected_us == 0 || now_us - link->suspected_us < SUSPECT_US)
		return;
	unsuspect(link);
	changed(link->tracker, &link->member.id, now_us);
}

void tracker_heartbeat(struct tracker_link *link, const struct message *message, uint64_t now_us)
{
	link->percent = message->heartbeat.percent;
	if (!link->joined)
		return;
	forgive(link, now_us);
	VEC_FOREACH(id, &message->heartbeat.suspects)
		suspect(link, id, now_us);
	if (inventory_news(
		    link->tracker, &link->member, message->heartbeat.inventory, PUBLISH_BITS))
		changed(link->tracker, &link->member.id, now_us);
}

uint64_t tracker_publish(struct tracker *tracker, uint64_t now_us)
{
	if (tracker->publish_us == 0)
		return UINT64_MAX;
	if (now_us < tracker->publish_us)
		return tracker->publish_us;
	tracker->publish_us = 0;
	/* Most know the same epoch, so its difference is made once. */
	struct message list = {.type = MESSAGE_MEMBERS};
	uint64_t made = UINT64_MAX;
	bool whole = false;
	for (struct tracker_link *link = tracker->links; link != NULL; link = link->next) {
		if (!link->joined || link->known == tracker->epoch)
			continue;
		if (link->known != made) {
			list_done(&list);
			made = link->known;
			whole = difference(tracker, made, &list);
		}
		if (!whole) {
			send_all(link);
			continue;
		}
		tracker_send(link, &list);
		link->known = tracker->epoch;
	}
	list_done(&list);
	return UINT64_MAX;
}

const struct member *tracker_peer(const struct tracker *tracker, const char *site, uint64_t spread)
{
	const struct tracker_link *best = NULL;
	unsigned count = 0;
	for (const struct tracker_link *link = tracker->links; link != NULL; link = link->next) {
		if (!tracker_can_serve(link) ||
			(site != NULL && strcmp(link->member.site, site) != 0))
			continue;
		bool done = link->percent == 100, best_done = best != NULL && best->percent == 100;
		if (best_done && !done)
			continue;
		count = done && !best_done ? 1 : count + 1;
		if (best == NULL || done > best_done || spread % count == 0)
			best = link;
	}
	return best != NULL ? &best->member : NULL;
}
