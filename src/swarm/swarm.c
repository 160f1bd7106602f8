/* SPDX-License-Identifier: MIT */
/*
 * The engine's callers and its clock. Every event goes to the engine, then its tick does what
 * follows, then callers get their chunks: never from within the engine, so they may want the next
 * one at once. What the engine does to the world is in wire.c.
 */
#include "swarm/swarm_parts.h"

#include "base/bytes.h"
#include "base/log.h"

#include <event2/dns.h>
#include <event2/event.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

uint64_t swarm_now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void deliver(struct swarm *swarm)
{
	struct swarm_want *want;
	while ((want = TAILQ_FIRST(&swarm->arrived)) != NULL) {
		TAILQ_REMOVE(&swarm->arrived, want, entry);
		struct swarm_want copy = *want;
		free(want);
		copy.got(copy.chunk, copy.source, copy.data);
	}
}

static void answer_loads(struct swarm *swarm)
{
	struct load *load;
	while ((load = LIST_FIRST(&swarm->answered)) != NULL) {
		LIST_REMOVE(load, entry);
		engine_loaded(swarm->engine, load->ticket, (struct engine_body *)load->chunk,
			swarm_now_us());
		free(load);
	}
}

/* Does all that is due, and comes back when more is. */
void swarm_run(struct swarm *swarm)
{
	uint64_t next;
	swarm->running = true;
	do {
		answer_loads(swarm);
		next = engine_tick(swarm->engine, swarm_now_us());
		deliver(swarm);
	} while (!LIST_EMPTY(&swarm->answered) || !TAILQ_EMPTY(&swarm->arrived));
	swarm->running = false;
	uint64_t now = swarm_now_us();
	uint64_t wait = next > now ? next - now : 0;
	struct timeval tv = {(time_t)(wait / 1000000), (suseconds_t)(wait % 1000000)};
	(void)event_add(swarm->tick, &tv);
}

static void on_tick(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	swarm_run(data);
}

/* From a caller of ours: what follows happens in the loop. */
void swarm_run_soon(struct swarm *swarm)
{
	struct timeval now = {0};
	if (!swarm->running)
		(void)event_add(swarm->tick, &now);
	else
		event_active(swarm->tick, EV_TIMEOUT, 0);
}

static int swarm_init(struct swarm *swarm, const struct swarm_params *params, struct err *err)
{
	for (size_t i = 0; i < params->origins.len; i++)
		if (strvec_push(&swarm->origins, params->origins.items[i], err) < 0)
			return -1;
	struct engine_params engine = {.self = {.id = params->id, .address = params->listen},
		.peers = params->peers,
		.uplink = params->uplink,
		.origins = (unsigned)params->origins.len,
		.system = params->system,
		.version = SNOWBOOT_VERSION,
		.serial = params->serial};
	memcpy(engine.mac, params->mac, sizeof(engine.mac));
	memcpy(engine.self.site, params->site, sizeof(engine.self.site));
	engine.self.site[sizeof(engine.self.site) - 1] = '\0';
	/* It only spreads load: without entropy, which early boot may lack, the clock will do. */
	if (getrandom(&engine.seed, sizeof(engine.seed), GRND_NONBLOCK) != sizeof(engine.seed))
		engine.seed = swarm_now_us() ^ get_le64(params->id.bytes);
	swarm->tick = evtimer_new(swarm->base, on_tick, swarm);
	if (swarm->tick == NULL)
		return err_oom(err);
	return engine_new(&engine, &swarm_engine_ops, swarm, swarm_now_us(), &swarm->engine, err);
}

int swarm_new(struct event_base *base, const struct swarm_params *params,
	struct http_client *client, struct cache *cache, struct swarm **ret, struct err *err)
{
	struct swarm *swarm = calloc(1, sizeof(*swarm));
	if (swarm == NULL)
		return err_oom(err);
	swarm->base = base;
	swarm->client = client;
	swarm->cache = cache;
	TAILQ_INIT(&swarm->arrived);
	if (swarm_init(swarm, params, err) < 0) {
		swarm_free(swarm);
		return -1;
	}
	swarm_run_soon(swarm);
	*ret = swarm;
	return 0;
}

static void free_waiting(struct swarm *swarm)
{
	struct load *load;
	while ((load = LIST_FIRST(&swarm->loads)) != NULL) {
		LIST_REMOVE(load, entry);
		cache_lookup_cancel(load->lookup);
		free(load);
	}
	while ((load = LIST_FIRST(&swarm->answered)) != NULL) {
		LIST_REMOVE(load, entry);
		cache_chunk_unref(load->chunk);
		free(load);
	}
	struct swarm_want *want;
	while ((want = TAILQ_FIRST(&swarm->arrived)) != NULL) {
		TAILQ_REMOVE(&swarm->arrived, want, entry);
		cache_chunk_unref(want->chunk);
		free(want);
	}
	while ((want = LIST_FIRST(&swarm->wants)) != NULL) {
		LIST_REMOVE(want, wanted);
		free(want);
	}
}

struct swarm *swarm_free(struct swarm *swarm)
{
	if (swarm == NULL)
		return NULL;
	if (swarm->engine != NULL)
		engine_leave(swarm->engine);
	engine_free(swarm->engine);
	free_waiting(swarm);
	while (!LIST_EMPTY(&swarm->wires))
		swarm_wire_free(LIST_FIRST(&swarm->wires));
	if (swarm->tick != NULL)
		event_free(swarm->tick);
	if (swarm->dns != NULL)
		evdns_base_free(swarm->dns, 0);
	strvec_done(&swarm->origins);
	free(swarm);
	return NULL;
}

int swarm_want(struct swarm *swarm, const struct chunk *chunk, enum swarm_priority priority,
	swarm_got_fn *got, void *data, struct swarm_want **ret, struct err *err)
{
	struct swarm_want *want = calloc(1, sizeof(*want));
	if (want == NULL)
		return err_oom(err);
	*want = (struct swarm_want){.swarm = swarm, .got = got, .data = data};
	if (engine_want(swarm->engine, chunk, priority, want, swarm_now_us(), &want->want, err) <
		0) {
		free(want);
		return -1;
	}
	LIST_INSERT_HEAD(&swarm->wants, want, wanted);
	swarm_run_soon(swarm);
	*ret = want;
	return 0;
}

void swarm_want_cancel(struct swarm_want *want)
{
	if (want == NULL)
		return;
	struct swarm *swarm = want->swarm;
	if (want->want != NULL) {
		LIST_REMOVE(want, wanted);
		engine_want_cancel(want->want, swarm_now_us());
		swarm_run_soon(swarm);
	} else {
		TAILQ_REMOVE(&swarm->arrived, want, entry);
		cache_chunk_unref(want->chunk);
	}
	free(want);
}

void swarm_accept(struct swarm *swarm, int take_fd, const void *early, size_t early_len)
{
	struct err err = ERR_INIT;
	struct wire *wire = swarm_wire_new(swarm, NULL);
	if (wire == NULL) {
		(void)close(take_fd);
		return;
	}
	const struct link_params params = {.base = swarm->base,
		.limits = {.frame_max = LINK_FRAME_SMALL},
		.ops = &swarm_link_ops,
		.data = wire};
	if (link_accept(&params, take_fd, early, early_len, &wire->link, &err) < 0 ||
		engine_link_accepted(swarm->engine, wire, swarm_now_us(), &wire->to, &err) < 0) {
		log_ignored(&err);
		swarm_wire_free(wire);
		return;
	}
	swarm_run_soon(swarm);
}

void swarm_hide(struct swarm *swarm, const struct digest *sorted, size_t count)
{
	swarm->hidden = sorted;
	swarm->hidden_len = count;
	swarm->knows_hidden = true;
}

void swarm_found(struct swarm *swarm, const struct member *member)
{
	struct err err = ERR_INIT;
	if (engine_member_found(swarm->engine, member, swarm_now_us(), &err) < 0)
		log_ignored(&err);
	swarm_run_soon(swarm);
}

void swarm_lost(struct swarm *swarm, const struct node_id *id)
{
	engine_member_lost(swarm->engine, id, swarm_now_us());
}

void swarm_tell_step(struct swarm *swarm, const char *step, unsigned percent)
{
	engine_tell_step(swarm->engine, step, percent);
}

void swarm_tell_counter(struct swarm *swarm, enum message_counter which, uint64_t value)
{
	engine_tell_counter(swarm->engine, which, value);
}

void swarm_tell_touch(struct swarm *swarm, const struct chunk *chunk)
{
	struct err err = ERR_INIT;
	if (engine_tell_touch(swarm->engine, chunk, &err) < 0)
		log_ignored(&err);
}

void swarm_readdress(struct swarm *swarm, const struct node_address *listen)
{
	engine_readdress(swarm->engine, listen, swarm_now_us());
	swarm_run_soon(swarm);
}

void swarm_stat(const struct swarm *swarm, struct swarm_stat *ret)
{
	engine_stat(swarm->engine, ret);
}
