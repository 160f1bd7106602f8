/* SPDX-License-Identifier: MIT */
/* The list of caches: URLs, what nix-cache-info says of each, and their order. */
#include "source/caches.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/path.h"
#include "source/caches_parts.h"

#include <string.h>
#include <time.h>

void cache_done(struct cache *cache)
{
	free(cache->name);
	free(cache->url);
	download_auth_done(&cache->auth);
	*cache = (struct cache){0};
}

int cache_fetch(struct caches *caches, size_t cache, const char *file, struct download **ret,
	struct err *err)
{
	const struct cache *c = &caches->list.items[cache];
	AUTO_FREE char *url = path_printf(err, "%s%s", c->url, file);
	if (url == NULL)
		return -1;
	return download_start(caches->downloader, url, c->has_auth ? &c->auth : NULL, ret, err);
}

int cache_read_all(struct download *download, size_t max_bytes, struct buf *out, struct err *err)
{
	for (;;) {
		size_t len;
		uint8_t *at = buf_reserve(out, 4096, err);
		if (at == NULL || download_read(download, at, 4096, &len, err) < 0)
			return -1;
		if (len == 0)
			return 0;
		out->len += len;
		if (out->len > max_bytes)
			return err_raise(err, ERR_LIMIT, "'%s' has more than %zu bytes",
				download_url(download), max_bytes);
	}
}

static void stop(struct download **download)
{
	*download = download_stop(*download);
}

static int read_info(struct cache *cache, struct download *download, struct err *err)
{
	AUTO_BUF text = {0};
	uint32_t priority;
	if (cache_read_all(download, CACHE_INFO_TEXT_MAX, &text, err) < 0) {
		if (err->kind == ERR_NOT_FOUND)
			err_hint(err, "a binary cache has that file; is the URL right?");
		return -1;
	}
	if (cache_info_parse((const char *)text.data, text.len, CACHES_STORE_DIR, &priority, err) <
		0)
		return err_prefix(err, "'%s'", download_url(download));
	if (!cache->has_priority)
		cache->priority = priority;
	return 0;
}

/* Those that were not done with come to the front, in their order. */
static void close_gaps(struct caches *caches)
{
	size_t kept = 0;
	VEC_FOREACH(cache, &caches->list) {
		struct cache moved = *cache;
		*cache = (struct cache){0};
		if (moved.name != NULL)
			caches->list.items[kept++] = moved;
	}
	caches->list.len = kept;
}

/* Leaves out what cannot be used; all are asked at once. */
static int read_infos(struct caches *caches, struct err *err)
{
	size_t count = caches->list.len;
	AUTO_FREE struct download **downloads = calloc(count + 1, sizeof(struct download *));
	struct err first = ERR_INIT;
	int r = downloads != NULL ? 0 : err_oom(err);
	for (size_t i = 0; i < count && r == 0; i++)
		r = cache_fetch(caches, i, "nix-cache-info", &downloads[i], err);
	for (size_t i = 0; i < count && r == 0; i++) {
		struct cache *cache = &caches->list.items[i];
		struct err failed = ERR_INIT;
		bool good = read_info(cache, downloads[i], &failed) == 0;
		stop(&downloads[i]); /* it borrows the keys of the cache */
		if (good)
			continue;
		cache_done(cache);
		if (count > 1)
			log_warning("%s, ignoring this cache", failed.msg);
		if (err_clean(&first))
			first = failed;
	}
	for (size_t i = 0; downloads != NULL && i < count; i++)
		stop(&downloads[i]);
	if (r < 0)
		return -1;
	close_gaps(caches);
	if (caches->list.len > 0)
		return 0;
	*err = first;
	return -1;
}

/* Stable, so that the user's order decides between equals. */
static void sort(struct caches *caches)
{
	struct cache *list = caches->list.items;
	for (size_t i = 1; i < caches->list.len; i++)
		for (size_t j = i; j > 0 && list[j].priority < list[j - 1].priority; j--) {
			struct cache swap = list[j];
			list[j] = list[j - 1];
			list[j - 1] = swap;
		}
}

static int open_all(struct caches *caches, const struct caches_params *params, struct err *err)
{
	const struct downloader_params downloader = {
		.netrc = params->netrc, .tls_trust = params->tls_trust, .stall_s = params->stall_s};
	for (size_t i = 0; i < params->urls->len; i++) {
		struct cache cache = {0};
		if (cache_parse(params->urls->items[i], &cache, err) < 0)
			return -1;
		if (vec_push(&caches->list, cache, err) < 0) {
			cache_done(&cache);
			return -1;
		}
	}
	if (caches->list.len == 0)
		return err_raise(err, ERR_USAGE, "no binary cache is named");
	if (downloader_new(&downloader, &caches->downloader, err) < 0 ||
		read_infos(caches, err) < 0)
		return -1;
	sort(caches);
	return 0;
}

/* What cannot be remembered is asked for again. */
static int open_absent(struct caches *caches, const struct caches_params *params, struct err *err)
{
	struct err tolerated = ERR_INIT;
	caches->absent.kept_s = params->absent_s;
	VEC_FOREACH(cache, &caches->list) {
		struct digest digest = digest_of(cache->url, strlen(cache->url));
		cache->number = get_le64(digest.bytes);
	}
	if (params->absent_file == NULL)
		return 0;
	caches->absent_file = strdup(params->absent_file);
	if (caches->absent_file == NULL)
		return err_oom(err);
	if (absent_load(&caches->absent, caches->absent_file, time(NULL), &tolerated) < 0)
		log_ignored(&tolerated);
	return 0;
}

int caches_open(const struct caches_params *params, struct caches **ret, struct err *err)
{
	struct caches *caches = calloc(1, sizeof(*caches));
	if (caches == NULL)
		return err_oom(err);
	caches->trust = params->trust;
	if (open_all(caches, params, err) < 0 || open_absent(caches, params, err) < 0) {
		caches_close(caches);
		return -1;
	}
	*ret = caches;
	return 0;
}

struct caches *caches_close(struct caches *caches)
{
	if (caches == NULL)
		return NULL;
	downloader_free(caches->downloader);
	VEC_FOREACH(cache, &caches->list)
		cache_done(cache);
	vec_done(&caches->list);
	free(caches->absent_file);
	free(caches);
	return NULL;
}
