/* SPDX-License-Identifier: MIT */
/*
 * A node: owns the parts and their order. What happens until the image is there is start.c's
 * business, what others may ask is in routes.c and status.c.
 */
#include "node/node.h"

#include "base/log.h"
#include "base/path.h"
#include "node/parts.h"

#include <event2/event.h>
#include <fcntl.h>
#include <malloc.h>
#include <string.h>
#include <unistd.h>

/* Blocks from this size on are mapped on their own, bytes: buffers of large reads, not chunks, for
 * whose sake the kernel would clear pages all the time. glibc otherwise moves its threshold up to
 * the largest block that was freed (mallopt(3)) and keeps them in its heap: after reading an image
 * of 300 MiB by 64 requests at a time, 22 MiB more stayed resident. */
#define MAP_FROM (160 * 1024)
#define TRIM_FROM (8u << 20)  /* bytes that are free in the heap */
#define QUIET_RATE (1u << 20) /* bytes a second */
#define CLOSE_MS 2000u        /* for the cache to write out what waits */
#define UP_SHOWN_US 5000000u  /* that the system is up is told before what comes next */
#define PROFILE_TICKS 30      /* seconds between two looks at what this boot touched */
#define PROFILE_TICKS_MAX 300 /* what is touched later is no boot any more */

void node_tell(struct node *node, const char *step, unsigned percent)
{
	snprintf(node->step, sizeof(node->step), "%s", step);
	node->percent = percent;
	if (node->sources.swarm != NULL)
		swarm_tell_step(node->sources.swarm, node->step, percent);
	node->ops.event(NODE_PROGRESS, node->step, NULL, node->ops.data);
}

void node_failed(struct node *node, const struct err *failure)
{
	node->failure = *failure;
	snprintf(node->step, sizeof(node->step), "failed");
	if (node->sources.swarm != NULL)
		swarm_tell_step(node->sources.swarm, node->step, 0);
	node->ops.event(NODE_FAILED, NULL, &node->failure, node->ops.data);
}

/* Peers learn an id that no machine can be told from: a hash. */
static struct node_id derive_id(const uint8_t machine[16])
{
	static const char purpose[] = "snowboot node";
	struct node_id id;
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	sha256_update(&ctx, sizeof(purpose), (const uint8_t *)purpose);
	sha256_update(&ctx, 16, machine);
	struct digest digest = digest_finish(&ctx);
	memcpy(id.bytes, digest.bytes, sizeof(id.bytes));
	return id;
}

int node_join(struct node *node, struct err *err)
{
	const struct node_config *config = node->config;
	struct swarm_params params = {.origins = config->origins,
		.id = derive_id(config->machine_id),
		.peers = config->peers,
		.uplink = config->uplink,
		.listen = node->listen,
		.system = node->manifest.system,
		.serial = node->manifest.serial};
	memcpy(params.site, config->site, sizeof(params.site));
	memcpy(params.mac, config->boot_mac, sizeof(params.mac));
	if (node_hidden_load(&node->hidden, node->sources.cache, err) < 0)
		return -1;
	if (swarm_new(node->base, &params, node->client, node->sources.cache, &node->sources.swarm,
		    err) < 0)
		return -1;
	if (!config->peers || config->keys.len == 0)
		return 0;
	const struct node_neighbours_params neighbours = {.base = node->base,
		.swarm = node->sources.swarm,
		.id = params.id,
		.keys = &config->keys,
		.site = config->site,
		.port = node->listen.port};
	return node_neighbours_new(&neighbours, &node->neighbours, err);
}

int node_hide(struct node *node, node_digests *take_digests, struct err *err)
{
	int r = node_hidden_tell(
		&node->hidden, take_digests, node->sources.cache, node->sources.swarm, err);
	vec_done(take_digests);
	return r;
}

/* Only the first touch of a chunk comes here. */
static void on_touched(struct node_place place, const struct chunk *chunk, void *data)
{
	struct node *node = data;
	struct err err = ERR_INIT;
	struct profile_entry entry = {
		.member = node->system.segments.items[place.segment].member, .chunk = place.chunk};
	node->touched++;
	swarm_tell_touch(node->sources.swarm, chunk);
	if (node->touches.entries.len < PROFILE_ENTRIES_MAX &&
		vec_push(&node->touches.entries, entry, &err) < 0)
		log_ignored(&err);
}

static void on_prefetch(const struct node_prefetch_stat *stat, void *data)
{
	struct node *node = data;
	bool completing = stat->step == NODE_PREFETCH_COMPLETE;
	if (stat->total == 0 || (node->up_us != 0 && node_clock_us() - node->up_us < UP_SHOWN_US))
		return;
	node->percent = completing ? (unsigned)(stat->done * 100 / stat->total) : 100;
	snprintf(node->step, sizeof(node->step), "%s",
		stat->complete              ? "complete"
			: completing        ? "completing"
			: node->up_us != 0  ? "multi-user"
			: node->handed_over ? "stage 2"
					    : "ready");
	swarm_tell_step(node->sources.swarm, node->step, node->percent);
}

int node_open_system(struct node *node, struct err *err)
{
	const struct node_config *config = node->config;
	node->touches.catalog = node->system.id;
	digest_hex(&node->system.id, node->identifier);
	if (node_reader_new(&node->sources, &node->system, config->trace, on_touched, node,
		    &node->reader, err) < 0)
		return -1;
	if (config->nbd_socket != NULL &&
		nbd_listener_new(node->base, config->nbd_socket, node_reader_export(node->reader),
			&node->listener, err) < 0)
		return -1;
	const struct node_prefetch_params prefetch = {.base = node->base,
		.config = config,
		.client = node->client,
		.sources = &node->sources,
		.system = &node->system,
		.progress = on_prefetch,
		.data = node};
	if (node_prefetch_new(&prefetch, &node->prefetch, err) < 0)
		return -1;
	node->ready = true;
	node->ready_us = node_clock_us();
	node_tell(node, "ready", 100);
	node->ops.event(NODE_READY, node->step, NULL, node->ops.data);
	return 0;
}

/* Keeps what this boot touched for the next one, when no origin has a profile by then. */
static void keep_profile(struct node *node)
{
	AUTO_BUF bytes = {0};
	struct err err = ERR_INIT;
	if (node->touches.entries.len == 0)
		return;
	if (profile_encode(&node->touches, &bytes, &err) < 0) {
		log_ignored(&err);
		return;
	}
	cache_note_set(node->sources.cache, "profile", bytes.data, bytes.len);
}

/* What the origin shows of us, and does not see by itself. */
static void tell_counters(struct node *node)
{
	struct swarm *swarm = node->sources.swarm;
	const struct node_tier_stat *tiers = node_reader_stat(node->reader)->tiers;
	struct swarm_stat s;
	struct cache_stat c;
	swarm_stat(swarm, &s);
	cache_stat(node->sources.cache, &c);
	uint64_t misses = tiers[NODE_PEER].reads + tiers[NODE_ORIGIN].reads;
	const struct {
		enum message_counter which;
		uint64_t value;
	} counters[] = {
		{COUNTER_MEMORY_BYTES, tiers[NODE_MEMORY].bytes},
		{COUNTER_DISK_BYTES, tiers[NODE_DISK].bytes},
		{COUNTER_PEER_BYTES, s.peer_bytes},
		{COUNTER_ORIGIN_BYTES, s.origin_bytes},
		{COUNTER_UPLOADED_BYTES, s.uploaded_bytes},
		{COUNTER_HEDGES, s.hedges},
		{COUNTER_REDIRECTS, s.redirects},
		{COUNTER_LEASE_WAITS, s.lease_waits},
		{COUNTER_EVICTED, c.evicted},
		{COUNTER_CORRUPT, s.corrupt},
		{COUNTER_PEERS, s.links},
		{COUNTER_READS, misses + tiers[NODE_MEMORY].reads + tiers[NODE_DISK].reads},
		{COUNTER_MISSES, misses},
	};
	for (size_t i = 0; i < ARRAY_LEN(counters); i++)
		swarm_tell_counter(swarm, counters[i].which, counters[i].value);
}

/*
 * Gives back what a burst of transfers left in the heap, once it is over. With memory locked the
 * kernel does not take it; then it is there for the next burst.
 */
static void trim(const struct node *node)
{
	if (node->rate.read + node->rate.received + node->rate.uploaded < QUIET_RATE &&
		mallinfo2().fordblks > TRIM_FROM)
		malloc_trim(0);
}

static void on_second(evutil_socket_t fd, short what, void *data)
{
	struct node *node = data;
	(void)fd;
	(void)what;
	struct node_sample now = node_sample(node), *last = &node->last;
	node->rate = (struct node_sample){.read = now.read - last->read,
		.received = now.received - last->received,
		.uploaded = now.uploaded - last->uploaded};
	node->last = now;
	trim(node);
	if (node->ready) {
		node_reader_check(node->reader, node_clock_us());
		tell_counters(node);
	}
	if (node->ready && node->ticks < PROFILE_TICKS_MAX && ++node->ticks % PROFILE_TICKS == 0)
		keep_profile(node);
}

/* Without a system nothing says what is private, but what was noted. */
static int share_only(struct node *node, struct err *err)
{
	node_digests none = {0};
	if (node_join(node, err) < 0)
		return -1;
	if (!node->hidden.lost)
		return node_hide(node, &none, err);
	log_warning("not all that is private on the disk is known, giving nothing of it to peers");
	return 0;
}

static void on_begin(evutil_socket_t fd, short what, void *data)
{
	struct node *node = data;
	struct err err = ERR_INIT;
	(void)fd;
	(void)what;
	if (node->config->name != NULL) {
		node_start(node);
		return;
	}
	if (share_only(node, &err) < 0) {
		node_failed(node, &err);
		return;
	}
	node_tell(node, "sharing", 100);
	node->ops.event(NODE_READY, node->step, NULL, node->ops.data);
}

static void on_cache_ready(struct cache *cache, void *data)
{
	struct node *node = data;
	(void)cache;
	event_active(node->begin, EV_TIMEOUT, 0);
}

static int check_config(const struct node_config *config, struct err *err)
{
	if (config->name == NULL)
		return 0;
	if (!manifest_name_valid(config->name))
		return err_raise(err, ERR_USAGE, "'%s' is not the name of a system", config->name);
	if (config->origins.len == 0) {
		err_raise(err, ERR_USAGE, "no origin is named");
		return err_hint(err, "name one: http://ADDRESS:PORT");
	}
	if (config->keys.len == 0) {
		err_raise(err, ERR_UNTRUSTED, "no key is named to hold '%s' against", config->name);
		return err_hint(err, "'snowboot key generate' makes one, and the origin needs it");
	}
	return 0;
}

static void on_boot_news(enum bootend_news news, void *data)
{
	struct node *node = data;
	bool up = news == BOOTEND_UP;
	if (up)
		node->up_us = node_clock_us();
	else
		node->handed_over = true;
	snprintf(node->step, sizeof(node->step), "%s", up ? "multi-user" : "stage 2");
	node->percent = 100;
	if (node->sources.swarm != NULL)
		swarm_tell_step(node->sources.swarm, node->step, node->percent);
}

/* Only a status knows less without it. */
static void watch_for_end(struct node *node)
{
	struct err err = ERR_INIT;
	if (node->config->state_dir == NULL || node->config->name == NULL)
		return;
	AUTO_FREE char *path = path_printf(&err, "%s/" BOOTEND_SOCKET, node->config->state_dir);
	int fd;
	if (path == NULL || node_bootend_listen(path, &fd, &err) < 0 ||
		node_bootend_new(node->base, fd, on_boot_news, node, &node->bootend, &err) < 0)
		log_ignored(&err);
}

static int open_parts(struct node *node, struct err *err)
{
	const struct http_client_limits limits = HTTP_CLIENT_LIMITS_DEFAULT;
	const struct timeval second = {.tv_sec = 1};
	node->begin = event_new(node->base, -1, 0, on_begin, node);
	node->second = event_new(node->base, -1, EV_PERSIST, on_second, node);
	if (node->begin == NULL || node->second == NULL || event_add(node->second, &second) < 0)
		return err_oom(err);
	if (http_client_new(node->base, &limits, &node->client, err) < 0 ||
		node_routes_new(node, &node->routes, err) < 0)
		return -1;
	watch_for_end(node);
	node->listen.port = node_routes_port(node->routes);
	return cache_open(
		node->base, &node->config->cache, on_cache_ready, node, &node->sources.cache, err);
}

int node_new(struct event_base *base, const struct node_config *config, const struct node_ops *ops,
	struct node **ret, struct err *err)
{
	if (check_config(config, err) < 0)
		return -1;
	(void)mallopt(M_MMAP_THRESHOLD, MAP_FROM); /* at worst more memory */
	struct node *node = calloc(1, sizeof(*node));
	if (node == NULL)
		return err_oom(err);
	*node = (struct node){.base = base,
		.config = config,
		.ops = *ops,
		.sources = {.base = base, .pool = config->pool},
		.begun_us = node_clock_us(),
		.statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)};
	if (open_parts(node, err) < 0) {
		node_free(node);
		return -1;
	}
	*ret = node;
	return 0;
}

struct node *node_free(struct node *node)
{
	if (node == NULL)
		return NULL;
	if (node->sources.cache != NULL && node->ready)
		keep_profile(node);
	nbd_listener_free(node->listener);
	while (node->kernel.len > 0)
		nbd_connection_free(node->kernel.items[node->kernel.len - 1]);
	vec_done(&node->kernel);
	node_bootend_free(node->bootend);
	node_routes_free(node->routes);
	node_prefetch_free(node->prefetch);
	node_reader_free(node->reader);
	node_start_cancel(node);
	node_neighbours_free(node->neighbours);
	swarm_free(node->sources.swarm);
	cache_close(node->sources.cache, CLOSE_MS);
	http_client_free(node->client);
	node_system_done(&node->system);
	manifest_done(&node->manifest);
	buf_done(&node->manifest_text);
	profile_done(&node->touches);
	node_hidden_done(&node->hidden);
	if (node->begin != NULL)
		event_free(node->begin);
	if (node->second != NULL)
		event_free(node->second);
	if (node->statm >= 0)
		close(node->statm);
	free(node);
	return NULL;
}

void node_readdress(struct node *node, const struct node_address *listen)
{
	node->listen = *listen;
	if (node->sources.swarm != NULL)
		swarm_readdress(node->sources.swarm, listen);
}

uint64_t node_image_size(const struct node *node)
{
	return node->system.image.size;
}

const char *node_identifier(const struct node *node)
{
	return node->identifier;
}

static void on_kernel_closed(
	struct nbd_connection *connection, const struct err *failure, void *data)
{
	struct node *node = data;
	const struct nbd_export *export = node_reader_export(node->reader);
	for (size_t i = 0; i < node->kernel.len; i++)
		if (node->kernel.items[i] == connection)
			node->kernel.items[i] = node->kernel.items[--node->kernel.len];
	export->closed(connection, failure, export->data);
}

static void on_kernel_read(struct nbd_read *read, uint64_t off, uint32_t len, void *data)
{
	struct node *node = data;
	const struct nbd_export *export = node_reader_export(node->reader);
	export->read(read, off, len, export->data);
}

int node_serve_kernel(struct node *node, int take_fd, struct err *err)
{
	struct nbd_connection *connection;
	if (!node->ready) {
		close(take_fd);
		return err_raise(err, ERR_AGAIN, "the image is not ready yet");
	}
	node->kernel_export = *node_reader_export(node->reader);
	node->kernel_export.read = on_kernel_read;
	node->kernel_export.closed = on_kernel_closed;
	node->kernel_export.data = node;
	if (nbd_connection_new(node->base, take_fd, false, &node->kernel_export, &connection, err) <
		0)
		return -1;
	if (vec_push(&node->kernel, connection, err) == 0)
		return 0;
	nbd_connection_free(connection);
	return -1;
}
