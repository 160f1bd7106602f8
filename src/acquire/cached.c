/* SPDX-License-Identifier: MIT */
/*
 * Systems from binary caches. What these said of a closure is kept in the pool: who has all of its
 * segments needs no cache any more, be it down or its line cut. Whether it is to be believed is
 * decided anew each time, by the keys that are trusted then.
 */
#include "acquire/parts.h"
#include "acquire/system_files.h"

#include "base/log.h"
#include "base/path.h"
#include "nix/closure_part.h"
#include "nix/store_path.h"

#include <string.h>

#define SAVED_FORMAT "snowboot closure 1"

struct acquire_look {
	struct acquirer *acquirer;
	struct pool *pool;
	struct pool_params params;
	struct progress *progress;
	struct cached_closure *cached;
	struct closure closure; /* its items are borrowed */
	/* While one path is fetched: */
	struct pool_supply supply; /* of the whole closure */
	size_t item;
};

void acquire_look_free(struct acquire_look *look)
{
	if (look == NULL)
		return;
	cached_closure_free(look->cached);
	free(look);
}

static void free_look(struct acquire_look **look)
{
	acquire_look_free(*look);
}

static void free_cached(struct cached_closure **cached)
{
	*cached = cached_closure_free(*cached);
}

static int need_caches(struct acquirer *a, const char *text, const char *url,
	const struct pool *pool, struct err *err)
{
	if (a->urls.len == 0 && url == NULL) {
		err_raise(err, ERR_NOT_FOUND, "there is no store path '%s' in '%s'", text,
			a->real_store);
		return err_hint(
			err, "--cache URL, or substituters in nix.conf, name where else to look");
	}
	const char *old = a->caches_for != NULL ? a->caches_for : "";
	if (a->caches != NULL && strcmp(old, url != NULL ? url : "") == 0)
		return 0;
	a->caches = caches_close(a->caches);
	free(TAKE_PTR(a->caches_for));
	AUTO_STRVEC urls = {0};
	if ((url != NULL && strvec_push(&urls, url, err) < 0) ||
		acquire_add_urls(&a->urls, &urls, err) < 0)
		return -1;
	AUTO_FREE char *absent_file = path_printf(err, "%s/absent", pool_dir(pool));
	if (absent_file == NULL)
		return -1;
	const struct caches_params params = {.urls = &urls,
		.trust = &a->trust,
		.netrc = a->conf.netrc_file,
		.tls_trust = a->conf.ssl_cert_file,
		.stall_s = a->stall_s,
		.absent_file = absent_file,
		.absent_s = a->conf.negative_ttl_s};
	a->caches_for = url != NULL ? strdup(url) : NULL;
	if (url != NULL && a->caches_for == NULL)
		return err_oom(err);
	return caches_open(&params, &a->caches, err);
}

static struct digest saved_key(const char *text)
{
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	sha256_update(&ctx, sizeof(SAVED_FORMAT), (const uint8_t *)SAVED_FORMAT);
	sha256_update(&ctx, STORE_PATH_HASH_LEN, (const uint8_t *)text);
	return digest_finish(&ctx);
}

/* The next one asks the caches again: that is no reason to fail now. */
static void save(struct pool *pool, const struct cached_closure *cached, const char *path)
{
	struct err tolerated = ERR_INIT;
	AUTO_BUF text = {0};
	if (cached_closure_save(cached, path, &text, &tolerated) == 0) {
		struct pool_derived derived = {
			.key = saved_key(path + strlen(ACQUIRE_STORE_DIR "/")),
			.data = text.data,
			.size = text.len};
		if (pool_keep(pool, &derived, 1, &tolerated) == 0)
			return;
	}
	log_ignored(&tolerated);
}

static int load(const struct acquirer *a, const char *text, const struct acquire_into *into,
	struct cached_closure **ret, char **ret_path, struct err *err)
{
	struct digest key = saved_key(text), object;
	AUTO_BUF saved = {0};
	int found = pool_memo_get(into->pool, &key, &object, err);
	if (found <= 0)
		return found;
	if (pool_get(into->pool, &object, &saved, err) < 0)
		return -1;
	const char *lines = buf_str(&saved, err);
	return lines == NULL || cached_closure_load(&a->trust, lines, ret, ret_path, err) < 0 ? -1
											      : 1;
}

/* 1 when the pool has everything that was asked for. What is wrong with that, caches put right. */
static int recall(const struct acquirer *a, const char *text, const struct acquire_into *into,
	struct acquired *acquired)
{
	struct err ignored = ERR_INIT;
	AUTO(free_cached) struct cached_closure *cached = NULL;
	AUTO_FREE struct pool_segment *segments = NULL;
	AUTO_FREE char *path = NULL;
	size_t missing;
	if (load(a, text, into, &cached, &path, &ignored) <= 0 ||
		strncmp(path_basename(path), text, strlen(text)) != 0 ||
		pool_find_closure(into->pool, cached_closure_get(cached), into->params, &segments,
			&missing, &ignored) <= 0)
		return 0;
	log_debug("'%s' is in the pool", path);
	acquired->path = TAKE_PTR(path);
	cached_closure_take(cached, &acquired->closure);
	return 1;
}

static int begin_item(void *data, const size_t *items, size_t count, struct err *err)
{
	const struct acquire_look *look = data;
	(void)items;
	return look->supply.begin(look->supply.data, &look->item, count, err);
}

static int open_item(
	void *data, size_t item, unsigned attempt, struct pool_feed *ret, struct err *err)
{
	const struct acquire_look *look = data;
	(void)item;
	return look->supply.open(look->supply.data, look->item, attempt, ret, err);
}

static void close_item(void *data, struct pool_feed *feed)
{
	const struct acquire_look *look = data;
	look->supply.close(look->supply.data, feed);
}

static int fetch_item(void *data, size_t item, struct err *err)
{
	struct acquire_look *look = data;
	const struct pool_supply one = {begin_item, open_item, close_item, look};
	struct closure closure = look->closure;
	closure.items += item;
	closure.len = 1;
	look->item = item;
	if (caches_supply(look->acquirer->caches, look->cached, &look->supply, err) < 0)
		return -1;
	int r = pool_add_from(look->pool, &closure, &one, &look->params, look->progress, err);
	caches_supply_done(&look->supply);
	return r;
}

static int ask(struct acquirer *a, const char *text, const struct acquire_into *into,
	struct acquired *acquired, struct err *err)
{
	AUTO(free_cached) struct cached_closure *cached = NULL;
	AUTO(caches_supply_done) struct pool_supply supply = {0};
	if (caches_closure(a->caches, text, into->progress, &cached, &acquired->path, err) < 0)
		return -1;
	if (into->look) {
		AUTO(free_look) struct acquire_look *look = calloc(1, sizeof(*look));
		if (look == NULL)
			return err_oom(err);
		cached_closure_take(cached, &acquired->closure);
		*look = (struct acquire_look){.acquirer = a,
			.pool = into->pool,
			.params = *into->params,
			.progress = into->progress,
			.cached = TAKE_PTR(cached),
			.closure = acquired->closure};
		acquired->look = TAKE_PTR(look);
		return 0;
	}
	if (caches_supply(a->caches, cached, &supply, err) < 0 ||
		pool_add_from(into->pool, cached_closure_get(cached), &supply, into->params,
			into->progress, err) < 0)
		return -1;
	caches_supply_done(&supply);
	save(into->pool, cached, acquired->path);
	cached_closure_take(cached, &acquired->closure);
	return 0;
}

/* A place for files, which come when they are looked at. */
static int open_files(const struct acquire_into *into, struct acquired *acquired, struct err *err)
{
	const struct system_files_source source = {fetch_item, acquired->look};
	if (system_files_new(into->pool, &acquired->closure, into->params,
		    acquired->look != NULL ? &source : NULL, &acquired->files, err) < 0)
		return -1;
	free(acquired->closure.real_dir);
	acquired->closure.real_dir = strdup(system_files_dir(acquired->files));
	return acquired->closure.real_dir != NULL ? 0 : err_oom(err);
}

static int read_system(const struct acquire_into *into, const struct acquired *acquired,
	const char *path, struct err *err)
{
	const struct store_view view = {.dir = ACQUIRE_STORE_DIR,
		.real_dir = acquired->closure.real_dir,
		.supply = acquired_supply(acquired)};
	return system_read_by(path, &view, into->system, err);
}

static const char *find_specialisation(const struct system *system, const char *name)
{
	for (size_t i = 0; i < system->specialisations.len; i++)
		if (strcmp(system->specialisations.items[i], name) == 0)
			return system->specialisation_paths.items[i];
	return NULL;
}

/* What the system refers to has it, so nothing more is asked for. */
static int specialise(const struct acquire_into *into, struct acquired *acquired, struct err *err)
{
	const char *found = find_specialisation(into->system, into->specialisation);
	if (found == NULL) {
		err_raise(err, ERR_NOT_FOUND, "the system '%s' has no specialisation '%s'",
			acquired->path, into->specialisation);
		return err_hint(err, "'snowboot show %s' lists those that it has", acquired->path);
	}
	AUTO_FREE char *path = strdup(found);
	if (path == NULL)
		return err_oom(err);
	system_files_remove(acquired->files);
	acquired->files = system_files_free(acquired->files);
	if (closure_keep_part(&acquired->closure, path, err) < 0)
		return -1;
	free(acquired->path);
	acquired->path = TAKE_PTR(path);
	system_done(into->system);
	return open_files(into, acquired, err) < 0
		? -1
		: read_system(into, acquired, acquired->path, err);
}

int acquire_cached(struct acquirer *a, const char *text, const char *url,
	const struct acquire_into *into, struct acquired *acquired, struct err *err)
{
	if (recall(a, text, into, acquired) == 0 &&
		(need_caches(a, text, url, into->pool, err) < 0 ||
			ask(a, text, into, acquired, err) < 0))
		return -1;
	if (into->system == NULL)
		return 0;
	if (open_files(into, acquired, err) < 0 ||
		read_system(into, acquired, acquired->path, err) < 0)
		return -1;
	return into->specialisation != NULL ? specialise(into, acquired, err) : 0;
}
