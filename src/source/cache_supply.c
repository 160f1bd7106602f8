/* SPDX-License-Identifier: MIT */
/*
 * NARs on their way to the pool. Those that are asked for next are begun beforehand, so that many
 * small ones do not each wait for the network; what has arrived and is not read yet is bounded by
 * the downloads' windows. The packed bytes are held to FileHash and FileSize at their end, the NAR
 * itself is for the pool to check.
 */
#include "base/path.h"
#include "source/caches_parts.h"
#include "source/decompress.h"

#include <pthread.h>
#include <string.h>

#define AHEAD 12 /* NARs that are begun beforehand */

struct supply {
	struct caches *caches;
	const struct cached_closure *cached;
	pthread_mutex_t lock;
	size_t *order; /* items as they will be asked for */
	size_t count, begun;
	struct download **ahead; /* item -> its download, begun and not taken yet */
	size_t waiting;          /* how many these are */
};

/* One NAR: download -> counted and hashed -> unpacked. */
struct flow {
	struct download *download;
	struct decompressor *decompressor;
	const struct narinfo *info;
	struct narinfo own; /* when it is from another cache than the closure */
	struct sha256_ctx hash;
	uint64_t size; /* packed bytes */
	bool checked;
};

static void flow_free(struct flow *flow)
{
	download_stop(flow->download);
	decompressor_free(flow->decompressor);
	narinfo_done(&flow->own);
	free(flow);
}

static int check_file(struct flow *flow, struct err *err)
{
	const struct narinfo *info = flow->info;
	char a[DIGEST_HEX_SIZE], b[DIGEST_HEX_SIZE];
	flow->checked = true;
	if (info->file_size != 0 && flow->size != info->file_size)
		return err_raise(err, ERR_CORRUPT,
			"the file has %llu bytes, not the %llu announced",
			(unsigned long long)flow->size, (unsigned long long)info->file_size);
	struct digest digest = digest_finish(&flow->hash);
	if (info->has_file_hash && !digest_equal(&digest, &info->file_hash))
		return err_raise(err, ERR_CORRUPT,
			"the file has the hash sha256:%s, not the sha256:%s announced",
			digest_hex(&digest, a), digest_hex(&info->file_hash, b));
	return 0;
}

static int read_packed(void *data, void *bytes, size_t max, size_t *ret_len, struct err *err)
{
	struct flow *flow = data;
	if (download_read(flow->download, bytes, max, ret_len, err) < 0)
		return -1;
	if (*ret_len == 0)
		return flow->checked ? 0 : check_file(flow, err);
	sha256_update(&flow->hash, *ret_len, bytes);
	flow->size += *ret_len;
	if (flow->info->file_size != 0 && flow->size > flow->info->file_size)
		return err_raise(err, ERR_CORRUPT,
			"the file is longer than the %llu bytes announced",
			(unsigned long long)flow->info->file_size);
	return 0;
}

/* Under the lock. */
static int begin_some(struct supply *s, struct err *err)
{
	while (s->begun < s->count && s->waiting < AHEAD) {
		size_t item = s->order[s->begun++];
		const struct cached_path *path = &s->cached->paths.items[s->cached->path_of[item]];
		if (cache_fetch(s->caches, path->cache, path->info.url, &s->ahead[item], err) < 0)
			return -1;
		s->waiting++;
	}
	return 0;
}

static int begin(void *data, const size_t *items, size_t count, struct err *err)
{
	struct supply *s = data;
	s->order = calloc(count + 1, sizeof(*s->order));
	s->ahead = calloc(s->cached->paths.len + 1, sizeof(struct download *));
	if (s->order == NULL || s->ahead == NULL)
		return err_oom(err);
	memcpy(s->order, items, count * sizeof(*items));
	s->count = count;
	pthread_mutex_lock(&s->lock);
	int r = begin_some(s, err);
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* The download that was begun for an item, or a new one. */
static int take_download(struct supply *s, size_t item, const struct cached_path *path,
	struct download **ret, struct err *err)
{
	pthread_mutex_lock(&s->lock);
	*ret = s->ahead[item];
	s->ahead[item] = NULL;
	s->waiting -= *ret != NULL;
	int r = begin_some(s, err);
	pthread_mutex_unlock(&s->lock);
	if (r < 0 || *ret != NULL)
		return r;
	return cache_fetch(s->caches, path->cache, path->info.url, ret, err);
}

/* Asks a later cache for the same NAR: 1, 0 when it does not have it. */
static int ask_other(struct supply *s, const struct cached_path *path, size_t cache,
	struct flow *flow, struct err *err)
{
	AUTO_BUF text = {0};
	struct download *download = NULL;
	struct cached_path other = {0};
	const char *hash = path->info.path + strlen(CACHES_STORE_DIR) + 1;
	AUTO_FREE char *file = path_printf(err, "%.32s.narinfo", hash);
	if (file == NULL || cache_fetch(s->caches, cache, file, &download, err) < 0)
		return -1;
	struct err tried = ERR_INIT;
	int r = cache_read_all(download, NARINFO_TEXT_MAX, &text, &tried);
	if (r == 0)
		r = cached_path_parse(download_url(download), hash, &text, &other, &tried);
	if (r == 0)
		r = cached_path_judge(s->caches->trust, download_url(download), &other, &tried);
	download_stop(download);
	/* The first failure is the one that is told. */
	if (r < 0 || !digest_equal(&other.info.nar_hash, &path->info.nar_hash)) {
		cached_path_done(&other);
		return 0;
	}
	flow->own = other.info;
	flow->info = &flow->own;
	return cache_fetch(s->caches, cache, flow->own.url, &flow->download, err) < 0 ? -1 : 1;
}

/* The cache for an attempt: the closure's own, then each behind it that has the path. */
static int begin_flow(
	struct supply *s, size_t item, unsigned attempt, struct flow *flow, struct err *err)
{
	const struct cached_path *path = &s->cached->paths.items[s->cached->path_of[item]];
	flow->info = &path->info;
	if (attempt == 0)
		return take_download(s, item, path, &flow->download, err) < 0 ? -1 : 1;
	unsigned found = 0;
	for (size_t cache = path->cache + 1; cache < s->caches->list.len; cache++) {
		flow->download = download_stop(flow->download);
		narinfo_done(&flow->own);
		int r = ask_other(s, path, cache, flow, err);
		if (r < 0)
			return -1;
		if (r > 0 && ++found == attempt)
			return 1;
	}
	return 0;
}

static int open_nar(
	void *data, size_t item, unsigned attempt, struct pool_feed *ret, struct err *err)
{
	struct supply *s = data;
	struct flow *flow = calloc(1, sizeof(*flow));
	if (flow == NULL)
		return err_oom(err);
	sha256_init(&flow->hash);
	int r = begin_flow(s, item, attempt, flow, err);
	const struct nar_input packed = {.read = read_packed, .data = flow};
	if (r > 0 &&
		decompressor_new(flow->info->compression, &packed, &flow->decompressor, err) < 0)
		r = -1;
	if (r <= 0) {
		flow_free(flow);
		return r;
	}
	const struct cached_path *path = &s->cached->paths.items[s->cached->path_of[item]];
	*ret = (struct pool_feed){.input = decompressor_input(flow->decompressor),
		.from = download_url(flow->download),
		.is_file = path->is_file,
		.file_hash = path->file_hash,
		.handle = flow};
	return 1;
}

static void close_nar(void *data, struct pool_feed *feed)
{
	(void)data;
	flow_free(feed->handle);
	feed->handle = NULL;
}

int caches_supply(struct caches *caches, const struct cached_closure *cached,
	struct pool_supply *ret, struct err *err)
{
	struct supply *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_oom(err);
	s->caches = caches;
	s->cached = cached;
	pthread_mutex_init(&s->lock, NULL);
	*ret = (struct pool_supply){
		.begin = begin, .open = open_nar, .close = close_nar, .data = s};
	return 0;
}

void caches_supply_done(struct pool_supply *supply)
{
	struct supply *s = supply->data;
	if (s == NULL)
		return;
	for (size_t i = 0; s->ahead != NULL && i < s->cached->paths.len; i++)
		download_stop(s->ahead[i]);
	pthread_mutex_destroy(&s->lock);
	free(s->order);
	free(s->ahead);
	free(s);
	*supply = (struct pool_supply){0};
}
