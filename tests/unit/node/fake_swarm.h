/* SPDX-License-Identifier: MIT */
#ifndef FAKE_SWARM_H
#define FAKE_SWARM_H

/*
 * The swarm's interface over nothing but ranges of the last origin, asked again until they come:
 * so that a node's own behaviour is tested without that of a swarm. Counts what it is told.
 */

#include "swarm/swarm.h"

#include "base/path.h"
#include "test.h"

#include <event2/event.h>
#include <string.h>
#include <sys/queue.h>

struct swarm_want {
	TAILQ_ENTRY(swarm_want) entry;
	struct swarm *swarm;
	struct chunk chunk;
	enum swarm_priority priority;
	swarm_got_fn *got;
	void *data;
	struct http_get *get;
	struct event *retry;
	struct cache_chunk *bytes;
	uint32_t len;
};

struct swarm {
	struct event_base *base;
	struct http_client *client;
	struct cache *cache;
	char *origin;
	TAILQ_HEAD(, swarm_want) wants;
	struct swarm_stat stat;
};

/* What the last swarm was told; outlives it. */
static struct fake_swarm_log {
	size_t hidden;
	bool told_hidden;
	unsigned touches, wants[SWARM_PRIORITIES], wants_private, accepted;
	char step[32];
	uint64_t serial;
} fake_swarm_log;

int swarm_new(struct event_base *base, const struct swarm_params *params,
	struct http_client *client, struct cache *cache, struct swarm **ret, struct err *err)
{
	struct swarm *swarm = calloc(1, sizeof(*swarm));
	(void)err;
	swarm->base = base;
	swarm->client = client;
	swarm->cache = cache;
	swarm->origin = params->origins.len > 0
		? strdup(params->origins.items[params->origins.len - 1])
		: NULL;
	TAILQ_INIT(&swarm->wants);
	fake_swarm_log = (struct fake_swarm_log){.serial = params->serial};
	*ret = swarm;
	return 0;
}

void swarm_want_cancel(struct swarm_want *want)
{
	TAILQ_REMOVE(&want->swarm->wants, want, entry);
	if (want->get != NULL)
		http_get_cancel(want->get);
	event_free(want->retry);
	cache_chunk_unref(want->bytes);
	free(want);
}

struct swarm *swarm_free(struct swarm *swarm)
{
	if (swarm == NULL)
		return NULL;
	assert_true(TAILQ_EMPTY(&swarm->wants)); /* who wants something cancels it */
	free(swarm->origin);
	free(swarm);
	return NULL;
}

static int fake_body(
	struct http_get *get, const void *bytes, size_t len, void *data, struct err *err)
{
	struct swarm_want *want = data;
	(void)get;
	if (len > want->chunk.len - want->len)
		return err_raise(err, ERR_CORRUPT, "too long");
	memcpy(want->bytes->bytes + want->len, bytes, len);
	want->len += (uint32_t)len;
	return 0;
}

static int fake_head(
	struct http_get *get, const struct http_answer *answer, void *data, struct err *err)
{
	(void)get;
	(void)data;
	return answer->status < 300 ? 0 : err_raise(err, ERR_AGAIN, "status %d", answer->status);
}

static void fake_done(struct http_get *get, const struct err *failure, void *data)
{
	struct swarm_want *want = data;
	struct swarm *swarm = want->swarm;
	struct timeval later = {.tv_usec = 20000};
	(void)get;
	want->get = NULL;
	struct digest digest = digest_of(want->bytes->bytes, want->len);
	if (failure != NULL || !digest_equal(&digest, &want->chunk.digest)) {
		event_add(want->retry, &later);
		return;
	}
	struct cache_chunk *chunk = TAKE_PTR(want->bytes);
	swarm_got_fn *got = want->got;
	void *got_data = want->data;
	swarm->stat.origin_bytes += chunk->len;
	swarm->stat.origin_chunks++;
	cache_put(swarm->cache, chunk);
	swarm_want_cancel(want);
	got(chunk, SWARM_ORIGIN, got_data);
}

static void fake_ask(evutil_socket_t fd, short what, void *data)
{
	static const struct http_get_ops ops = {
		.head = fake_head, .body = fake_body, .done = fake_done};
	struct swarm_want *want = data;
	struct err err = ERR_INIT;
	char hex[DIGEST_HEX_SIZE];
	(void)fd;
	(void)what;
	digest_hex(&want->chunk.object, hex);
	AUTO_FREE char *url =
		path_printf(&err, "%s/v1/objects/%.2s/%s", want->swarm->origin, hex, hex);
	const struct http_get_params params = {
		.url = url, .off = want->chunk.off, .len = want->chunk.len};
	want->len = 0;
	assert_ok(http_client_get(want->swarm->client, &params, &ops, want, &want->get, &err));
}

int swarm_want(struct swarm *swarm, const struct chunk *chunk, enum swarm_priority priority,
	swarm_got_fn *got, void *data, struct swarm_want **ret, struct err *err)
{
	struct swarm_want *want = calloc(1, sizeof(*want));
	*want = (struct swarm_want){
		.swarm = swarm, .chunk = *chunk, .priority = priority, .got = got, .data = data};
	want->bytes = cache_chunk_new(&chunk->digest, chunk->len, err);
	want->retry = evtimer_new(swarm->base, fake_ask, want);
	fake_swarm_log.wants[priority]++;
	fake_swarm_log.wants_private += chunk->is_private;
	TAILQ_INSERT_TAIL(&swarm->wants, want, entry);
	fake_ask(-1, 0, want);
	*ret = want;
	return 0;
}

void swarm_accept(struct swarm *swarm, int take_fd, const void *early, size_t early_len)
{
	(void)swarm;
	(void)early;
	(void)early_len;
	fake_swarm_log.accepted++;
	close(take_fd);
}

void swarm_tell_step(struct swarm *swarm, const char *step, unsigned percent)
{
	(void)swarm;
	(void)percent;
	snprintf(fake_swarm_log.step, sizeof(fake_swarm_log.step), "%s", step);
}

void swarm_tell_touch(struct swarm *swarm, const struct chunk *chunk)
{
	(void)swarm;
	(void)chunk;
	fake_swarm_log.touches++;
}

void swarm_tell_counter(struct swarm *swarm, enum message_counter which, uint64_t value)
{
	(void)swarm;
	(void)which;
	(void)value;
}

void swarm_hide(struct swarm *swarm, const struct digest *sorted, size_t count)
{
	(void)swarm;
	for (size_t i = 1; i < count; i++)
		assert_true(digest_compare(&sorted[i - 1], &sorted[i]) < 0);
	fake_swarm_log.hidden = count;
	fake_swarm_log.told_hidden = true;
}

void swarm_readdress(struct swarm *swarm, const struct node_address *listen)
{
	(void)swarm;
	(void)listen;
}

void swarm_stat(const struct swarm *swarm, struct swarm_stat *ret)
{
	*ret = swarm->stat;
}

void swarm_found(struct swarm *swarm, const struct member *member)
{
	(void)swarm;
	(void)member;
}

void swarm_lost(struct swarm *swarm, const struct node_id *id)
{
	(void)swarm;
	(void)id;
}

#endif
