/* SPDX-License-Identifier: MIT */
/*
 * The engine's world: its links are sockets or web servers, its bodies are chunks of the cache.
 * Nothing here calls the engine from within one of its operations; no decision is made here.
 */
#include "swarm/swarm_parts.h"

#include "base/log.h"

#include <event2/dns.h>
#include <event2/event.h>
#include <string.h>

#define ORIGIN_DIAL_MS 3000

static struct cache_chunk *chunk_of(struct engine_body *body)
{
	return (struct cache_chunk *)body;
}

static struct engine_body *body_of(struct cache_chunk *chunk)
{
	return (struct engine_body *)chunk;
}

/* Links. */

struct wire *swarm_wire_new(struct swarm *swarm, struct engine_link *to)
{
	struct wire *wire = calloc(1, sizeof(*wire));
	if (wire == NULL)
		return NULL;
	wire->swarm = swarm;
	wire->to = to;
	LIST_INSERT_HEAD(&swarm->wires, wire, entry);
	return wire;
}

void swarm_wire_free(struct wire *wire)
{
	LIST_REMOVE(wire, entry);
	link_free(wire->link);
	mirror_free(wire->mirror);
	free(wire);
}

static void on_up(struct link *link, void *data)
{
	(void)link;
	struct wire *wire = data;
	engine_link_up(wire->to, swarm_now_us());
	swarm_run(wire->swarm);
}

static int on_message(struct link *link, const struct message *message, void *data, struct err *err)
{
	(void)link;
	struct wire *wire = data;
	struct swarm *swarm = wire->swarm;
	int r = engine_receive(wire->to, message, swarm_now_us(), err);
	if (r == 0)
		swarm_run(swarm);
	return r;
}

static void on_room(struct link *link, void *data)
{
	(void)link;
	struct wire *wire = data;
	engine_writable(wire->to, swarm_now_us());
	swarm_run(wire->swarm);
}

static void on_mirror_part(uint32_t id, const void *bytes, uint32_t len, void *data)
{
	struct wire *wire = data;
	engine_mirror_part(wire->to, id, bytes, len, swarm_now_us());
	swarm_run(wire->swarm);
}

static void on_mirror_end(uint32_t id, enum mirror_end how, void *data)
{
	struct wire *wire = data;
	engine_mirror_end(wire->to, id, how, swarm_now_us());
	swarm_run(wire->swarm);
}

static const struct mirror_ops mirror_ops = {on_mirror_part, on_mirror_end};

/* An origin that is a plain web server is used as such. */
static bool becomes_mirror(struct wire *wire)
{
	struct err err = ERR_INIT;
	struct swarm *swarm = wire->swarm;
	if (mirror_new(swarm->base, swarm->client, wire->url, &mirror_ops, wire, &wire->mirror,
		    &err) < 0) {
		log_ignored(&err);
		return false;
	}
	wire->link = link_free(wire->link);
	log_info("origin '%s' is a plain web server: chunks come by HTTP", wire->url);
	engine_link_down(wire->to, LINK_MIRROR, swarm_now_us());
	return true;
}

static void on_down(struct link *link, const struct err *why, void *data)
{
	(void)link;
	struct wire *wire = data;
	struct swarm *swarm = wire->swarm;
	if (why->kind == ERR_UNSUPPORTED && wire->url != NULL && becomes_mirror(wire)) {
		swarm_run(swarm);
		return;
	}
	bool garbage = why->kind == ERR_CORRUPT || why->kind == ERR_UNTRUSTED;
	if (garbage || wire->url != NULL)
		log_info("%s%s%s", wire->url != NULL ? wire->url : "a peer", ": ", why->msg);
	engine_link_down(wire->to, garbage ? LINK_GARBAGE : LINK_LOST, swarm_now_us());
	swarm_wire_free(wire);
	swarm_run(swarm);
}

static void on_heard(struct link *link, void *data)
{
	(void)link;
	engine_heard(((struct wire *)data)->to, swarm_now_us());
}

const struct link_ops swarm_link_ops = {on_up, on_message, on_room, on_down, on_heard};

static void op_dial(struct engine_link *to, const struct node_address *address,
	unsigned deadline_ms, void *data)
{
	struct err err = ERR_INIT;
	struct swarm *swarm = data;
	struct wire *wire = swarm_wire_new(swarm, to);
	engine_link_set_user(to, wire);
	if (wire == NULL)
		return;
	struct link_params params = {.base = swarm->base,
		.limits = {.dial_ms = deadline_ms, .frame_max = LINK_FRAME_SMALL},
		.ops = &swarm_link_ops,
		.data = wire};
	if (link_dial(&params, address, &wire->link, &err) < 0)
		log_ignored(&err); /* the engine gives up on what does not come up */
}

static struct evdns_base *resolver(struct swarm *swarm)
{
	if (swarm->dns != NULL)
		return swarm->dns;
	swarm->dns = evdns_base_new(swarm->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (swarm->dns == NULL)
		return NULL;
	(void)evdns_base_resolv_conf_parse(swarm->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");
	evdns_base_set_option(swarm->dns, "timeout:", "2");
	evdns_base_set_option(swarm->dns, "attempts:", "2");
	return swarm->dns;
}

static void op_dial_origin(struct engine_link *to, unsigned origin, void *data)
{
	struct err err = ERR_INIT;
	struct swarm *swarm = data;
	struct wire *wire = swarm_wire_new(swarm, to);
	engine_link_set_user(to, wire);
	if (wire == NULL)
		return;
	wire->url = swarm->origins.items[origin];
	struct link_params params = {.base = swarm->base,
		.limits = {.dial_ms = ORIGIN_DIAL_MS},
		.ops = &swarm_link_ops,
		.data = wire};
	if (link_dial_url(&params, resolver(swarm), wire->url, &wire->link, &err) < 0)
		log_ignored(&err);
}

static void op_hang_up(struct engine_link *to, void *data)
{
	(void)data;
	struct wire *wire = engine_link_user(to);
	if (wire != NULL)
		swarm_wire_free(wire);
}

static void op_send(struct engine_link *to, const struct message *message, void *data)
{
	(void)data;
	struct wire *wire = engine_link_user(to);
	if (wire != NULL && wire->link != NULL)
		link_send(wire->link, message);
}

static bool op_has_room(struct engine_link *to, void *data)
{
	(void)data;
	struct wire *wire = engine_link_user(to);
	return wire != NULL && wire->link != NULL && link_has_room(wire->link);
}

static void op_part(struct engine_link *to, uint32_t id, struct engine_body *body, uint32_t off,
	uint32_t len, void *data)
{
	op_send(to,
		&(struct message){.type = MESSAGE_PART,
			.part = {.id = id,
				.off = off,
				.len = len,
				.bytes = chunk_of(body)->bytes + off}},
		data);
}

/* Mirrors. */

static void op_mirror_get(struct engine_link *to, uint32_t id, const struct chunk *chunk,
	enum swarm_priority priority, void *data)
{
	(void)data;
	struct err err = ERR_INIT;
	struct wire *wire = engine_link_user(to);
	if (mirror_get(wire->mirror, id, chunk, priority, &err) < 0)
		log_ignored(&err); /* it is given up like one that does not answer */
}

static void op_mirror_cancel(struct engine_link *to, uint32_t id, void *data)
{
	(void)data;
	struct wire *wire = engine_link_user(to);
	mirror_cancel(wire->mirror, id);
}

static void op_mirror_distrust(struct engine_link *to, const struct chunk *chunk, void *data)
{
	(void)data;
	struct wire *wire = engine_link_user(to);
	mirror_distrust(wire->mirror, chunk);
}

/* Bytes. */

static struct engine_body *op_body_new(const struct chunk *chunk, void *data)
{
	(void)data;
	struct err err = ERR_INIT;
	struct cache_chunk *body = cache_chunk_new(&chunk->digest, chunk->len, &err);
	if (body == NULL)
		log_ignored(&err);
	return body_of(body);
}

static void op_body_write(
	struct engine_body *body, uint32_t off, const void *bytes, uint32_t len, void *data)
{
	(void)data;
	memcpy(chunk_of(body)->bytes + off, bytes, len);
}

static bool op_body_verify(struct engine_body *body, void *data)
{
	(void)data;
	const struct cache_chunk *chunk = chunk_of(body);
	struct digest digest = digest_of(chunk->bytes, chunk->len);
	return digest_equal(&digest, &chunk->digest);
}

static struct engine_body *op_body_ref(struct engine_body *body, void *data)
{
	(void)data;
	return body_of(cache_chunk_ref(chunk_of(body)));
}

static void op_body_unref(struct engine_body *body, void *data)
{
	(void)data;
	cache_chunk_unref(chunk_of(body));
}

/* The cache. */

static int compare(const void *a, const void *b)
{
	return digest_compare(a, b);
}

static bool op_hides(const struct digest *digest, void *data)
{
	const struct swarm *swarm = data;
	return swarm->hidden_len > 0 &&
		bsearch(digest, swarm->hidden, swarm->hidden_len, sizeof(*digest), compare) != NULL;
}

static bool op_has(const struct digest *digest, void *data)
{
	struct swarm *swarm = data;
	if (swarm->knows_hidden)
		return cache_has(swarm->cache, digest);
	struct cache_chunk *chunk = cache_peek(swarm->cache, digest);
	cache_chunk_unref(chunk);
	return chunk != NULL;
}

static void on_loaded(struct cache_chunk *take_chunk, enum cache_tier tier, void *data)
{
	(void)tier;
	struct load *load = data;
	struct swarm *swarm = load->swarm;
	load->chunk = take_chunk;
	LIST_REMOVE(load, entry);
	LIST_INSERT_HEAD(&swarm->answered, load, entry);
	load->lookup = NULL;
	swarm_run_soon(swarm);
}

static void op_load(const struct digest *digest, uint32_t len, uint64_t ticket, void *data)
{
	struct err err = ERR_INIT;
	struct swarm *swarm = data;
	struct load *load = calloc(1, sizeof(*load));
	if (load == NULL)
		return; /* whoever asked gives up, and asks another one */
	load->swarm = swarm;
	load->ticket = ticket;
	LIST_INSERT_HEAD(&swarm->loads, load, entry);
	if (cache_get(swarm->cache, digest, len, on_loaded, load, &load->lookup, &err) < 0) {
		log_ignored(&err);
		on_loaded(NULL, CACHE_NONE, load);
	}
}

/* Chunks are verified when they come in and when a disk is read, so only memory can be at fault. */
static void op_recheck(const struct digest *digest, void *data)
{
	struct swarm *swarm = data;
	struct cache_chunk *chunk = cache_peek(swarm->cache, digest);
	if (chunk != NULL && !op_body_verify(body_of(chunk), data))
		log_error(
			"a chunk changed in memory after it was verified: this machine is faulty");
	cache_chunk_unref(chunk);
}

static void op_inventory(uint8_t ret[INVENTORY_SIZE], void *data)
{
	const struct swarm *swarm = data;
	cache_inventory(swarm->cache, ret);
}

static void op_store(const struct chunk *chunk, struct engine_body *body, void *data)
{
	(void)chunk;
	struct swarm *swarm = data;
	cache_put(swarm->cache, chunk_of(body));
}

static void op_got(void *want, struct engine_body *body, enum swarm_source source, void *data)
{
	struct swarm *swarm = data;
	struct swarm_want *mine = want;
	LIST_REMOVE(mine, wanted);
	mine->want = NULL;
	mine->chunk = cache_chunk_ref(chunk_of(body));
	mine->source = source;
	TAILQ_INSERT_TAIL(&swarm->arrived, mine, entry);
	swarm_run_soon(swarm);
}

const struct engine_ops swarm_engine_ops = ENGINE_OPS(op_);
