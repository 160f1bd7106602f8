/* SPDX-License-Identifier: MIT */
/*
 * Between links and tracker: frames go in, what the tracker decides goes out, and parts of chunks
 * are read from the pool when their turn comes. Only chunks of systems that are served are found,
 * whatever a node asks for.
 */
#include "serve/hub.h"

#include "base/fd.h"
#include "base/log.h"
#include "http/pacer.h"
#include "swarm/link.h"

#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <time.h>

/* A node sends heartbeats; one that is silent for three of them is gone (tracker.h). */
#define HEARTBEAT_MS 3000

struct hub_node {
	TAILQ_ENTRY(hub_node) entry;
	struct hub *hub;
	struct link *link;
	struct tracker_link *tracked;
	void *user;
	struct pacer_client turns;
	int64_t allowance; /* bytes of turns that were not used; below 0: in advance */
};

struct hub {
	struct event_base *base;
	struct hub_ops ops;
	void *data;
	struct tracker *tracker;
	struct pacer *pacer; /* or NULL */
	struct event *timer;
	TAILQ_HEAD(, hub_node) nodes;
	unsigned count; /* of them */
};

uint64_t hub_now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void send_frame(void *link, const struct message *message, void *data)
{
	(void)data;
	link_send(((struct hub_node *)link)->link, message);
}

static void on_turn(struct pacer_client *turns, uint32_t bytes)
{
	struct hub_node *node =
		(struct hub_node *)((char *)turns - offsetof(struct hub_node, turns));
	node->allowance += bytes;
	tracker_writable(node->tracked, hub_now_us());
	event_active(node->hub->timer, EV_TIMEOUT, 0);
}

static bool has_chunk(const struct chunk *chunk, void *data)
{
	const struct hub *hub = data;
	const struct object_set *set;
	const struct chunk_place *place = hub->ops.find(&chunk->digest, &set, hub->data);
	return place != NULL && place->len == chunk->len;
}

/* Asked only for a link that there is something to give to. */
static bool has_room(void *link, void *data)
{
	(void)data;
	struct hub_node *node = link;
	if (!link_has_room(node->link))
		return false;
	if (node->hub->pacer == NULL || node->allowance > 0)
		return true;
	pacer_wait(node->hub->pacer, &node->turns);
	return false;
}

static bool send_part(
	void *link, uint32_t id, const struct chunk *chunk, uint32_t off, uint32_t len, void *data)
{
	struct hub *hub = data;
	uint8_t bytes[LINK_PART_SIZE];
	const struct object_set *set = NULL;
	const struct chunk_place *place = hub->ops.find(&chunk->digest, &set, hub->data);
	if (place == NULL || place->len != chunk->len || len > sizeof(bytes) || off > place->len ||
		len > place->len - off)
		return false;
	struct err err = ERR_INIT;
	if (object_set_load(set, place, off, bytes, len, &err) < 0) {
		log_error("%s", err.msg);
		return false;
	}
	const struct message part = {
		.type = MESSAGE_PART, .part = {.id = id, .off = off, .len = len, .bytes = bytes}};
	link_send(((struct hub_node *)link)->link, &part);
	((struct hub_node *)link)->allowance -= len;
	return true;
}

static void drop(struct hub_node *node)
{
	struct hub *hub = node->hub;
	TAILQ_REMOVE(&hub->nodes, node, entry);
	hub->count--;
	tracker_link_free(node->tracked, hub_now_us());
	hub->ops.gone(node, hub->data);
	link_free(node->link);
	if (hub->pacer != NULL) {
		pacer_leave(hub->pacer, &node->turns);
		if (node->allowance > 0)
			pacer_return(hub->pacer, (uint64_t)node->allowance);
	}
	free(node);
}

/* The other side's address, for its share of the uplink. */
static void begin_turns(struct hub_node *node)
{
	struct sockaddr_in6 peer = {.sin6_family = AF_INET6};
	struct node_address address = link_peer(node->link);
	memcpy(&peer.sin6_addr, address.ip, sizeof(peer.sin6_addr));
	pacer_client_init(&node->turns, (const struct sockaddr *)&peer, on_turn);
}

/* Lets the tracker do what is due, and comes back when it wants to be called next. */
static void tick(struct hub *hub)
{
	uint64_t now_us = hub_now_us();
	struct hub_node *node = TAILQ_FIRST(&hub->nodes);
	while (node != NULL) {
		struct hub_node *next = TAILQ_NEXT(node, entry);
		if (tracker_link_is_dead(node->tracked, now_us))
			drop(node);
		node = next;
	}
	uint64_t due_us = tracker_tick(hub->tracker, now_us);
	uint64_t wait_us = due_us > now_us ? due_us - now_us : 0;
	if (wait_us > HEARTBEAT_MS * 1000)
		wait_us = HEARTBEAT_MS * 1000;
	const struct timeval wait = {
		.tv_sec = (time_t)(wait_us / 1000000), .tv_usec = (suseconds_t)(wait_us % 1000000)};
	event_add(hub->timer, &wait);
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	tick(data);
}

static int on_message(struct link *link, const struct message *message, void *data, struct err *err)
{
	struct hub_node *node = data;
	struct hub *hub = node->hub;
	struct node_address address = link_peer(link);
	struct message known = *message; /* shallow: the link's */
	/* Who listens on any address does not know which of them others reach it by. */
	static const uint8_t any[sizeof(address.ip)];
	if (message->type == MESSAGE_JOIN &&
		memcmp(known.join.member.address.ip, any, sizeof(any)) == 0)
		memcpy(known.join.member.address.ip, address.ip, sizeof(address.ip));
	if (tracker_receive(node->tracked, &known, hub_now_us(), err) < 0)
		return -1;
	bool report = message->type == MESSAGE_JOIN || message->type == MESSAGE_HEARTBEAT ||
		message->type == MESSAGE_TOUCHES || message->type == MESSAGE_LEAVE;
	if (report)
		hub->ops.heard(node, &address, message, hub->data);
	event_active(hub->timer, EV_TIMEOUT, 0); /* later: a tick may drop this very link */
	return 0;
}

static void on_room(struct link *link, void *data)
{
	(void)link;
	struct hub_node *node = data;
	tracker_writable(node->tracked, hub_now_us());
	event_active(node->hub->timer, EV_TIMEOUT, 0);
}

static void on_down(struct link *link, const struct err *why, void *data)
{
	(void)link;
	struct hub_node *node = data;
	struct hub *hub = node->hub;
	log_debug("a node's link ended: %s", why->msg);
	drop(node);
	event_active(hub->timer, EV_TIMEOUT, 0);
}

void hub_accept(struct hub *hub, int take_fd, const void *early, size_t early_len)
{
	static const struct link_ops ops = {
		.message = on_message, .room = on_room, .down = on_down};
	struct err err = ERR_INIT;
	struct hub_node *node = calloc(1, sizeof(*node));
	if (node == NULL) {
		fd_close_ptr(&take_fd);
		return;
	}
	node->hub = hub;
	const struct link_params params = {.base = hub->base,
		.limits = {.frame_max = LINK_FRAME_SMALL},
		.ops = &ops,
		.data = node};
	int r = link_accept(&params, take_fd, early, early_len, &node->link, &err);
	if (r == 0)
		r = tracker_link_new(hub->tracker, node, hub_now_us(), &node->tracked, &err);
	if (r < 0) {
		log_ignored(&err);
		link_free(node->link);
		free(node);
		return;
	}
	begin_turns(node);
	TAILQ_INSERT_TAIL(&hub->nodes, node, entry);
	hub->count++;
}

int hub_new(struct event_base *base, struct pacer *pacer, const struct hub_ops *ops, void *data,
	struct hub **ret, struct err *err)
{
	static const struct tracker_ops tracker_ops = {
		.send = send_frame, .part = send_part, .has = has_chunk, .has_room = has_room};
	struct tracker_params params = {.heartbeat_ms = HEARTBEAT_MS};
	struct hub *hub = calloc(1, sizeof(*hub));
	if (hub == NULL)
		return err_oom(err);
	hub->base = base;
	hub->ops = *ops;
	hub->data = data;
	hub->pacer = pacer;
	TAILQ_INIT(&hub->nodes);
	if (getrandom(&params.instance, sizeof(params.instance), 0) < 0 ||
		getrandom(params.token, sizeof(params.token), 0) < 0) {
		free(hub);
		return err_sys(err, "cannot get random numbers");
	}
	params.instance |= 1; /* not 0 */
	int r = tracker_new(&params, &tracker_ops, hub, &hub->tracker, err);
	if (r == 0) {
		hub->timer = event_new(base, -1, 0, on_timer, hub);
		if (hub->timer == NULL)
			r = err_oom(err);
	}
	if (r < 0) {
		hub_free(hub);
		return -1;
	}
	tick(hub);
	*ret = hub;
	return 0;
}

struct hub *hub_free(struct hub *hub)
{
	if (hub == NULL)
		return NULL;
	for (struct hub_node *node; (node = TAILQ_FIRST(&hub->nodes)) != NULL;)
		drop(node);
	if (hub->timer != NULL)
		event_free(hub->timer);
	tracker_free(hub->tracker);
	free(hub);
	return NULL;
}

void hub_node_set_user(struct hub_node *node, void *user)
{
	node->user = user;
}

void *hub_node_user(const struct hub_node *node)
{
	return node->user;
}

unsigned hub_links(const struct hub *hub)
{
	return hub->count;
}

void hub_stat(const struct hub *hub, struct tracker_stat *ret)
{
	tracker_stat(hub->tracker, ret);
}

const struct member *hub_peer(const struct hub *hub, const char *site, uint64_t spread)
{
	return tracker_peer(hub->tracker, site, spread);
}
