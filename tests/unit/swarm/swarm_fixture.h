/* SPDX-License-Identifier: MIT */
#ifndef SWARM_FIXTURE_H
#define SWARM_FIXTURE_H

/* An origin and nodes on real sockets, all on one loop, over loopback. */

#include "swarm/swarm.h"

#include "base/bytes.h"
#include "base/hex.h"
#include "http/server.h"
#include "swarm/link.h"
#include "swarm/rendezvous.h"
#include "swarm/tracker.h"
#include "test.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNKS 60
#define CHUNK_SIZE 50000
#define NODES 5
#define TOKEN "0123456789abcdef"

struct origin;
struct origin_link {
	struct origin *origin;
	struct link *link;
	struct tracker_link *node;
	struct origin_link *next;
};

struct origin {
	struct event_base *base;
	struct http_server *server;
	struct tracker *tracker; /* NULL: a plain web server */
	struct event *tick;
	struct origin_link *links;
	unsigned gets; /* of objects, by HTTP */
	char url[64];
};

struct node {
	struct event_base *base;
	struct http_server *server;
	struct http_client *client;
	struct cache *cache;
	struct swarm *swarm;
	unsigned wanted, got, wrong, from_peers;
	struct swarm_want *wants[CHUNKS];
};

static struct event_base *base;
static uint8_t object[CHUNKS * CHUNK_SIZE];
static struct chunk chunks_of_object[CHUNKS];

static uint64_t now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void make_chunks(void)
{
	for (size_t i = 0; i < sizeof(object); i++)
		object[i] = (uint8_t)(i * 2654435761u >> 13);
	struct digest whole = digest_of(object, sizeof(object));
	for (size_t i = 0; i < CHUNKS; i++)
		chunks_of_object[i] =
			(struct chunk){.digest = digest_of(object + i * CHUNK_SIZE, CHUNK_SIZE),
				.object = whole,
				.off = i * CHUNK_SIZE,
				.len = CHUNK_SIZE};
}

/* The origin. */

static void origin_run(struct origin *origin)
{
	uint64_t next = tracker_tick(origin->tracker, now_us()), now = now_us();
	uint64_t wait = next > now ? next - now : 0;
	if (wait > 100000)
		wait = 100000;
	struct timeval tv = {.tv_usec = (suseconds_t)wait};
	event_add(origin->tick, &tv);
}

static void on_origin_tick(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	origin_run(data);
}

static void origin_send(void *link, const struct message *message, void *data)
{
	(void)data;
	link_send(((struct origin_link *)link)->link, message);
}

static bool origin_part(
	void *link, uint32_t id, const struct chunk *chunk, uint32_t off, uint32_t len, void *data)
{
	(void)data;
	link_send(((struct origin_link *)link)->link,
		&(struct message){.type = MESSAGE_PART,
			.part = {.id = id,
				.off = off,
				.len = len,
				.bytes = object + chunk->off + off}});
	return true;
}

static bool origin_has_room(void *link, void *data)
{
	(void)data;
	return link_has_room(((struct origin_link *)link)->link);
}

static bool origin_has(const struct chunk *chunk, void *data)
{
	(void)chunk;
	(void)data;
	return true;
}

static const struct tracker_ops tracker_ops = {
	origin_send, origin_part, origin_has, origin_has_room};

static void origin_drop(struct origin_link *link)
{
	struct origin_link **p = &link->origin->links;
	while (*p != link)
		p = &(*p)->next;
	*p = link->next;
	tracker_link_free(link->node, now_us());
	link_free(link->link);
	free(link);
}

static int origin_message(
	struct link *link, const struct message *message, void *data, struct err *err)
{
	(void)link;
	struct origin_link *mine = data;
	int r = tracker_receive(mine->node, message, now_us(), err);
	origin_run(mine->origin);
	return r;
}

static void origin_room(struct link *link, void *data)
{
	(void)link;
	struct origin_link *mine = data;
	tracker_writable(mine->node, now_us());
}

static void origin_down(struct link *link, const struct err *why, void *data)
{
	(void)link;
	(void)why;
	origin_drop(data);
}

static const struct link_ops origin_link_ops = {NULL, origin_message, origin_room, origin_down};

static void origin_upgraded(int take_fd, const void *early, size_t early_len, void *data)
{
	struct err err = ERR_INIT;
	struct origin *origin = data;
	struct origin_link *link = calloc(1, sizeof(*link));
	link->origin = origin;
	link->next = origin->links;
	origin->links = link;
	const struct link_params params = {.base = base, .ops = &origin_link_ops, .data = link};
	assert_ok(link_accept(&params, take_fd, early, early_len, &link->link, &err));
	assert_ok(tracker_link_new(origin->tracker, link, now_us(), &link->node, &err));
}

static void origin_handle(struct http_exchange *exchange, void *data)
{
	struct err err = ERR_INIT;
	struct origin *origin = data;
	const char *path = http_exchange_request(exchange)->path;
	if (origin->tracker != NULL && strcmp(path, LINK_PATH) == 0 &&
		http_exchange_wants(exchange, LINK_UPGRADE)) {
		http_exchange_upgrade(exchange, LINK_UPGRADE, origin_upgraded, origin);
		return;
	}
	if (strncmp(path, "/v1/objects/", 12) != 0) {
		http_exchange_reply_text(exchange, 404, "not here\n");
		return;
	}
	origin->gets++;
	struct http_body *body = http_body_copy(object, sizeof(object), NULL, &err);
	assert_non_null(body);
	http_exchange_reply(exchange, 200, body);
}

static void on_done(struct http_exchange *exchange, const struct http_outcome *outcome, void *data)
{
	(void)exchange;
	(void)outcome;
	(void)data;
}

static struct http_server *listen_on_loopback(
	void (*handle)(struct http_exchange *, void *), void *data)
{
	struct err err = ERR_INIT;
	struct sockaddr_in in = {.sin_family = AF_INET};
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	struct http_server_config config = {
		.limits = HTTP_LIMITS_DEFAULT, .handle = handle, .done = on_done, .data = data};
	struct http_server *server;
	assert_ok(
		http_server_new(base, (struct sockaddr *)&in, sizeof(in), &config, &server, &err));
	return server;
}

static void origin_start(struct origin *origin, bool tracks)
{
	struct err err = ERR_INIT;
	*origin = (struct origin){.base = base};
	origin->server = listen_on_loopback(origin_handle, origin);
	(void)snprintf(origin->url, sizeof(origin->url), "http://127.0.0.1:%u",
		http_server_port(origin->server));
	origin->tick = evtimer_new(base, on_origin_tick, origin);
	if (!tracks)
		return;
	struct tracker_params params = {.instance = 1, .heartbeat_ms = 200};
	memcpy(params.token, TOKEN, 16);
	assert_ok(tracker_new(&params, &tracker_ops, origin, &origin->tracker, &err));
}

static void origin_stop(struct origin *origin)
{
	while (origin->links != NULL)
		origin_drop(origin->links);
	origin->tracker = tracker_free(origin->tracker);
	event_del(origin->tick);
	event_free(origin->tick);
	http_server_free(origin->server);
	*origin = (struct origin){0};
}

/* Nodes. */

static void node_upgraded(int take_fd, const void *early, size_t early_len, void *data)
{
	swarm_accept(((struct node *)data)->swarm, take_fd, early, early_len);
}

static void node_handle(struct http_exchange *exchange, void *data)
{
	if (http_exchange_wants(exchange, LINK_UPGRADE))
		http_exchange_upgrade(exchange, LINK_UPGRADE, node_upgraded, data);
	else
		http_exchange_reply_text(exchange, 404, "not here\n");
}

static void on_ready(struct cache *cache, void *data)
{
	(void)cache;
	(void)data;
}

static struct node_address loopback(uint16_t port)
{
	return (struct node_address){
		.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}, .port = port};
}

/* Node `n` of the origins, at a site; one that does not listen has port 0. */
static void node_start_at(
	struct node *node, unsigned n, const char *url, bool listens, const char *site)
{
	struct err err = ERR_INIT;
	*node = (struct node){.base = base};
	struct swarm_params params = {.peers = true, .system = "/nix/store/test"};
	put_le32(params.id.bytes, n * 2654435761u);
	(void)snprintf(params.site, sizeof(params.site), "%s", site);
	assert_ok(strvec_push(&params.origins, url, &err));
	if (listens)
		node->server = listen_on_loopback(node_handle, node);
	params.listen = loopback(listens ? http_server_port(node->server) : 0);
	struct cache_params cache = {.memory_max = 64 << 20};
	assert_ok(cache_open(base, &cache, on_ready, NULL, &node->cache, &err));
	assert_ok(http_client_new(base, &HTTP_CLIENT_LIMITS_DEFAULT, &node->client, &err));
	assert_ok(swarm_new(base, &params, node->client, node->cache, &node->swarm, &err));
	swarm_hide(node->swarm, NULL, 0);
	strvec_done(&params.origins);
}

static void node_start(struct node *node, unsigned n, const char *url, bool listens)
{
	node_start_at(node, n, url, listens, "");
}

static void node_stop(struct node *node)
{
	swarm_free(node->swarm);
	http_client_free(node->client);
	http_server_free(node->server);
	cache_close(node->cache, 0);
	*node = (struct node){0};
}

static void on_got(struct cache_chunk *take_chunk, enum swarm_source source, void *data)
{
	struct node *node = data;
	struct digest digest = digest_of(take_chunk->bytes, take_chunk->len);
	node->wrong += !digest_equal(&digest, &take_chunk->digest);
	node->got++;
	node->from_peers += source == SWARM_PEER;
	cache_chunk_unref(take_chunk);
}

static void node_want(struct node *node, unsigned begin, unsigned end)
{
	struct err err = ERR_INIT;
	for (unsigned i = begin; i < end; i++) {
		enum swarm_priority priority = i % 3 == 0 ? SWARM_DEMAND : SWARM_PREFETCH;
		assert_ok(swarm_want(node->swarm, &chunks_of_object[i], priority, on_got, node,
			&node->wants[i], &err));
		node->wanted++;
	}
}

/* Runs the loop until all nodes have what they want; fails after 20 s. */
static void run_all(struct node *nodes, unsigned count)
{
	uint64_t end = now_us() + 20000000;
	for (;;) {
		unsigned left = 0;
		for (unsigned i = 0; i < count; i++)
			left += nodes[i].wanted - nodes[i].got;
		if (left == 0)
			return;
		if (now_us() > end)
			fail_msg("%u chunks did not come", left);
		event_base_loop(base, EVLOOP_ONCE);
	}
}

static void run_for(unsigned ms)
{
	struct timeval tv = {ms / 1000, 1000 * (ms % 1000)};
	event_base_loopexit(base, &tv);
	event_base_dispatch(base);
}

static int set_up(void **state)
{
	(void)state;
	base = event_base_new();
	make_chunks();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	event_base_free(base);
	return 0;
}

#endif
