/* SPDX-License-Identifier: MIT */
/*
 * Prefetch and completion: one bounded window of fetches that is filled from a source of chunks.
 * The whole system goes through it in runs of RUN chunks, each run in an order of this machine's
 * own: machines that boot together then do not all want the same chunk at the same time.
 */
#include "node/prefetch.h"

#include "base/hex.h"
#include "base/log.h"
#include "base/path.h"
#include "node/node.h"

#include <event2/event.h>
#include <string.h>

#define WINDOW 32              /* chunks on their way: at most 4 MiB */
#define RUN 128                /* chunks that are put into another order: 16 MiB */
#define BATCH 4096             /* chunks that are looked at before others have their turn */
#define BACKLOG_MAX (4u << 20) /* bytes that wait for the disk while more is fetched for it */
#define BACKLOG_MS 50
#define ASK_MS 3000u /* for an origin's answer */

struct slot {
	struct node_prefetch *prefetch;
	struct node_fetch fetch;
	bool busy;
};

/* Where the walk over the whole system is. */
struct walk {
	struct chunk run[RUN];
	size_t len, next; /* of the run */
	struct node_place place;
	size_t file, piece; /* boot files, behind the segments */
	uint64_t random;
};

struct node_prefetch {
	struct node_prefetch_params params;
	const struct node_config *config; /* of the params, as the next two */
	struct node_sources *sources;
	const struct node_system *system;
	struct event *kick;
	struct http_get *get;
	size_t origin; /* that is asked for the profile */
	bool refused;  /* it answered, but not with a profile */
	struct buf bytes;
	struct profile profile;
	size_t entry; /* of the profile, the next */
	struct walk walk;
	size_t missing, missing_before; /* chunks of this walk, and of the one before */
	bool on_disk;                   /* what is fetched is kept there */
	uint64_t limit;                 /* bytes that the cache may get */
	unsigned percent;
	size_t busy;
	struct node_prefetch_stat stat;
	struct slot slots[WINDOW];
};

static void kick(struct node_prefetch *p)
{
	/* By a timer: what event_active() adds runs before the loop looks for input again. */
	static const struct timeval now;
	event_add(p->kick, &now);
}

static void tell(struct node_prefetch *p)
{
	p->params.progress(&p->stat, p->params.data);
}

static void begin_step(struct node_prefetch *p, enum node_prefetch_step step, uint64_t total)
{
	p->stat.step = step;
	p->stat.done = 0;
	p->stat.total = total;
	p->percent = 0;
	tell(p);
	kick(p);
}

/* xorshift64* (Vigna 2016): good enough to spread machines out. */
static uint64_t random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1du;
}

static bool wants_file(const struct node_prefetch *p, const struct catalog_file *file)
{
	return p->config->boot_files &&
		(strcmp(file->name, "kernel") == 0 || strcmp(file->name, "initramfs") == 0);
}

/* The next of the whole system in its own order; false at the end. */
static bool walk_step(struct node_prefetch *p, struct chunk *ret)
{
	struct walk *w = &p->walk;
	const struct node_system *system = p->system;
	for (; p->config->complete && w->place.segment < system->segments.len;
		w->place.segment++, w->place.chunk = 0) {
		if (w->place.chunk == system->segments.items[w->place.segment].table.digests.len)
			continue;
		*ret = node_system_chunk(system, w->place);
		w->place.chunk++;
		return true;
	}
	for (; w->file < system->catalog.files.len; w->file++, w->piece = 0) {
		const struct catalog_file *file = &system->catalog.files.items[w->file];
		if (!wants_file(p, file) || w->piece == file->blob.pieces.len)
			continue;
		*ret = blob_chunk(&file->blob, w->piece++);
		return true;
	}
	return false;
}

static bool walk_next(struct node_prefetch *p, struct chunk *ret)
{
	struct walk *w = &p->walk;
	if (w->next == w->len) {
		w->next = w->len = 0;
		while (w->len < RUN && walk_step(p, &w->run[w->len]))
			w->len++;
		for (size_t i = w->len; i > 1; i--) {
			size_t j = random_next(&w->random) % i;
			struct chunk swap = w->run[i - 1];
			w->run[i - 1] = w->run[j];
			w->run[j] = swap;
		}
	}
	if (w->next == w->len)
		return false;
	*ret = w->run[w->next++];
	return true;
}

static bool next_chunk(struct node_prefetch *p, struct chunk *ret)
{
	struct node_place place;
	if (p->stat.step == NODE_PREFETCH_COMPLETE)
		return walk_next(p, ret);
	while (p->entry < p->profile.entries.len) {
		if (!node_system_find(p->system, p->profile.entries.items[p->entry++], &place))
			continue;
		*ret = node_system_chunk(p->system, place);
		return true;
	}
	return false;
}

static void advance(struct node_prefetch *p, uint32_t len)
{
	p->stat.done += len;
	unsigned percent = p->stat.total > 0 ? (unsigned)(p->stat.done * 100 / p->stat.total) : 100;
	if (percent != p->percent) {
		p->percent = percent;
		tell(p);
	}
}

static void on_fetched(struct cache_chunk *take_chunk, enum node_tier tier, void *data)
{
	struct slot *slot = data;
	struct node_prefetch *p = slot->prefetch;
	(void)tier;
	slot->busy = false;
	p->busy--;
	if (take_chunk != NULL) {
		p->stat.chunks++;
		advance(p, take_chunk->len);
	}
	cache_chunk_unref(take_chunk);
	kick(p);
}

static uint64_t total_of_all(const struct node_prefetch *p)
{
	uint64_t total = p->config->complete ? p->system->data_bytes : 0;
	VEC_FOREACH(file, &p->system->catalog.files)
		if (wants_file(p, file))
			total += file->blob.size;
	return total;
}

static uint64_t total_of_profile(const struct node_prefetch *p)
{
	struct node_place place;
	uint64_t total = 0;
	VEC_FOREACH(entry, &p->profile.entries)
		if (node_system_find(p->system, *entry, &place))
			total += node_system_chunk(p->system, place).len;
	return total;
}

/*
 * Once more over everything, since what was fetched may not have been kept: the disk was slower
 * than the network, or something else was evicted for it. True when that is worth it.
 */
static bool walk_again(struct node_prefetch *p)
{
	if (p->stat.step != NODE_PREFETCH_COMPLETE || p->missing == 0 || p->stat.full)
		return false;
	if (p->missing >= p->missing_before) {
		p->stat.full = true;
		return false;
	}
	p->missing_before = p->missing;
	p->missing = 0;
	p->walk = (struct walk){.random = p->walk.random};
	begin_step(p, NODE_PREFETCH_COMPLETE, total_of_all(p));
	return true;
}

static void end_step(struct node_prefetch *p)
{
	uint64_t all = total_of_all(p);
	bool complete = p->stat.step == NODE_PREFETCH_COMPLETE;
	if (walk_again(p))
		return;
	if (p->stat.step == NODE_PREFETCH_PROFILE && all > 0 && !p->stat.full) {
		p->missing = 0;
		begin_step(p, NODE_PREFETCH_COMPLETE, all);
		return;
	}
	p->stat.complete = complete && p->config->complete && !p->stat.full;
	if (p->stat.complete)
		log_info("the whole system is in the cache");
	else if (p->stat.full)
		log_warning("the cache is too small to fetch all ahead that is wanted");
	p->stat.step = NODE_PREFETCH_DONE;
	tell(p);
}

/* Waits for the disk rather than fetch what it has no time for. */
static bool disk_is_behind(struct node_prefetch *p)
{
	struct cache_stat stat;
	const struct timeval wait = {.tv_usec = BACKLOG_MS * 1000};
	if (!p->on_disk || p->stat.step != NODE_PREFETCH_COMPLETE)
		return false;
	cache_stat(p->sources->cache, &stat);
	if (!stat.disk_usable || stat.disk_waiting < BACKLOG_MAX)
		return false;
	event_add(p->kick, &wait);
	return true;
}

static void fill(struct node_prefetch *p)
{
	struct chunk chunk;
	unsigned looked = 0;
	enum swarm_priority priority =
		p->stat.step == NODE_PREFETCH_PROFILE ? SWARM_PREFETCH : SWARM_BULK;
	if (disk_is_behind(p))
		return;
	for (size_t i = 0; i < WINDOW; i++) {
		struct slot *slot = &p->slots[i];
		while (!slot->busy) {
			if (p->stat.done > p->limit)
				p->stat.full = true;
			if (p->stat.full || !next_chunk(p, &chunk)) {
				if (p->busy == 0)
					end_step(p);
				return;
			}
			if (cache_has(p->sources->cache, &chunk.digest)) {
				advance(p, chunk.len);
				if (++looked < BATCH)
					continue;
				kick(p);
				return;
			}
			slot->busy = true;
			p->busy++;
			p->missing++;
			node_fetch(&slot->fetch, p->sources, &chunk, priority, on_fetched, slot);
			/* One that a pool here had at once: it took the time of many looks. */
			if (!slot->busy && (looked += BATCH / 16) >= BATCH)
				return;
		}
	}
}

static void begin(struct node_prefetch *p)
{
	struct cache_stat cache;
	cache_stat(p->sources->cache, &cache);
	/* Memory also serves the reads that nobody foresaw. */
	p->on_disk = cache.disk_usable;
	p->missing_before = SIZE_MAX;
	p->limit = cache.disk_usable ? cache.disk_max : p->config->cache.memory_max / 4 * 3;
	p->stat.profile_entries = p->profile.entries.len;
	begin_step(p, NODE_PREFETCH_PROFILE, total_of_profile(p));
}

/* Takes the profile in p->bytes when it is one of this system. */
static bool take_profile(struct node_prefetch *p)
{
	struct err err = ERR_INIT;
	AUTO_PROFILE profile = {0};
	if (profile_decode(p->bytes.data, p->bytes.len, &profile, &err) < 0) {
		log_ignored(&err);
		return false;
	}
	if (!digest_equal(&profile.catalog, &p->system->id))
		return false;
	p->profile = profile;
	profile = (struct profile){0};
	return true;
}

static void use_note(struct node_prefetch *p)
{
	struct err err = ERR_INIT;
	const struct buf *note = cache_note(p->sources->cache, "profile");
	buf_clear(&p->bytes);
	if (note->len > 0 && buf_put(&p->bytes, note->data, note->len, &err) < 0)
		log_ignored(&err);
	if (p->bytes.len > 0 && !take_profile(p))
		buf_clear(&p->bytes);
	begin(p);
}

static void ask(struct node_prefetch *p);

static int on_head(
	struct http_get *get, const struct http_answer *answer, void *data, struct err *err)
{
	struct node_prefetch *p = data;
	(void)get;
	(void)err;
	p->refused = answer->status != 200;
	return 0;
}

static int on_body(struct http_get *get, const void *bytes, size_t len, void *data, struct err *err)
{
	struct node_prefetch *p = data;
	(void)get;
	if (p->refused)
		return 0;
	if (len > PROFILE_MAX - p->bytes.len)
		return err_raise(
			err, ERR_CORRUPT, "boot profile: more than %zu bytes", PROFILE_MAX);
	return buf_put(&p->bytes, bytes, len, err);
}

static void on_done(struct http_get *get, const struct err *failure, void *data)
{
	struct node_prefetch *p = data;
	(void)get;
	p->get = NULL;
	if (failure == NULL && !p->refused && take_profile(p)) {
		begin(p);
		return;
	}
	p->origin++;
	ask(p);
}

static const struct http_get_ops get_ops = {.head = on_head, .body = on_body, .done = on_done};

static void ask(struct node_prefetch *p)
{
	struct err err = ERR_INIT;
	char hex[DIGEST_HEX_SIZE];
	for (; p->origin < p->config->origins.len; p->origin++) {
		AUTO_FREE char *url = path_printf(&err, "%s/v1/profiles/%s",
			p->config->origins.items[p->origin], digest_hex(&p->system->id, hex));
		const struct http_get_params params = {.url = url, .first_byte_ms = ASK_MS};
		buf_clear(&p->bytes);
		p->refused = false;
		if (url != NULL &&
			http_client_get(p->params.client, &params, &get_ops, p, &p->get, &err) == 0)
			return;
		log_ignored(&err);
	}
	use_note(p);
}

static void on_kick(evutil_socket_t fd, short what, void *data)
{
	struct node_prefetch *p = data;
	(void)fd;
	(void)what;
	switch (p->stat.step) {
	case NODE_PREFETCH_ASK:
		ask(p);
		break;
	case NODE_PREFETCH_PROFILE:
	case NODE_PREFETCH_COMPLETE:
		fill(p);
		break;
	case NODE_PREFETCH_DONE:
		break;
	}
}

int node_prefetch_new(
	const struct node_prefetch_params *params, struct node_prefetch **ret, struct err *err)
{
	struct node_prefetch *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return err_oom(err);
	p->params = *params;
	p->config = params->config;
	p->sources = params->sources;
	p->system = params->system;
	memcpy(&p->walk.random, p->config->machine_id, sizeof(p->walk.random));
	p->walk.random |= 1;
	for (size_t i = 0; i < WINDOW; i++)
		p->slots[i].prefetch = p;
	p->kick = event_new(params->base, -1, 0, on_kick, p);
	if (p->kick == NULL) {
		free(p);
		return err_oom(err);
	}
	kick(p);
	*ret = p;
	return 0;
}

struct node_prefetch *node_prefetch_free(struct node_prefetch *prefetch)
{
	if (prefetch == NULL)
		return NULL;
	for (size_t i = 0; i < WINDOW; i++)
		node_fetch_cancel(&prefetch->slots[i].fetch);
	if (prefetch->get != NULL)
		http_get_cancel(prefetch->get);
	event_free(prefetch->kick);
	buf_done(&prefetch->bytes);
	profile_done(&prefetch->profile);
	free(prefetch);
	return NULL;
}

const struct node_prefetch_stat *node_prefetch_stat(const struct node_prefetch *prefetch)
{
	return &prefetch->stat;
}

const struct buf *node_prefetch_profile(const struct node_prefetch *prefetch)
{
	return &prefetch->bytes;
}
