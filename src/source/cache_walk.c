/* SPDX-License-Identifier: MIT */
/*
 * From a name to a closure. Narinfos are asked for as soon as something refers to them, many at
 * once, and taken in that order; what a cache does not have is asked again, of the next cache, at
 * the end of the line.
 */
#include "base/log.h"
#include "base/path.h"
#include "nix/store_path.h"
#include "source/notary.h"

#include <string.h>
#include <time.h>

#define AT_ONCE NOTARY_MAX /* questions */
#define PATHS_MAX 200000   /* of a closure; the largest systems have some ten thousand */

/* A question to one cache. */
struct ask {
	char hash[STORE_PATH_HASH_LEN + 1];
	size_t cache;
	size_t referrer; /* in `paths`, or SIZE_MAX: the user */
	char *path;      /* what it should be, or NULL: known by its hash alone */
	bool passed;     /* a cache that lacked it some time ago was not asked */
	bool sure;       /* such ones are asked too */
	struct download *download;
};

struct seen_hash {
	char text[STORE_PATH_HASH_LEN];
};

struct walk {
	struct caches *caches;
	struct progress *progress;
	VEC(struct ask) asks;
	struct answer answers[AT_ONCE]; /* to question i at i % AT_ONCE */
	struct notary *notary;
	struct cached_closure *cached;
	/* The hashes seen: open addressing, places in `seen_hashes`, 0 for a free one. */
	VEC(struct seen_hash) seen_hashes;
	uint32_t *seen;
	size_t seen_mask;
};

static void walk_done(struct walk *w)
{
	w->notary = notary_free(w->notary);
	for (size_t i = 0; i < AT_ONCE; i++)
		answer_done(&w->answers[i]);
	VEC_FOREACH(ask, &w->asks) {
		download_stop(ask->download);
		free(ask->path);
	}
	vec_done(&w->asks);
	vec_done(&w->seen_hashes);
	free(w->seen);
	cached_closure_free(w->cached);
}

void cached_path_done(struct cached_path *path)
{
	narinfo_done(&path->info);
}

struct cached_closure *cached_closure_free(struct cached_closure *cached)
{
	if (cached == NULL)
		return NULL;
	VEC_FOREACH(path, &cached->paths)
		cached_path_done(path);
	vec_done(&cached->paths);
	closure_done(&cached->closure);
	free(cached->path_of);
	free(cached);
	return NULL;
}

const struct closure *cached_closure_get(const struct cached_closure *cached)
{
	return &cached->closure;
}

void cached_closure_take(struct cached_closure *cached, struct closure *ret)
{
	*ret = cached->closure;
	cached->closure = (struct closure){0};
}

/* FNV-1a; nobody gains by making hashes of store paths collide. */
static size_t hash_place(const char *hash)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < STORE_PATH_HASH_LEN; i++)
		h = (h ^ (uint8_t)hash[i]) * UINT64_C(0x100000001b3);
	return (size_t)(h ^ h >> 32);
}

static uint32_t *seen_place(const struct walk *w, uint32_t *table, size_t mask, const char *hash)
{
	size_t i = hash_place(hash) & mask;
	while (table[i] != 0 &&
		memcmp(w->seen_hashes.items[table[i] - 1].text, hash, STORE_PATH_HASH_LEN) != 0)
		i = (i + 1) & mask;
	return &table[i];
}

/* 1 when it is new. */
static int see(struct walk *w, const char *hash, struct err *err)
{
	if (w->seen == NULL || w->seen_hashes.len * 2 >= w->seen_mask) {
		size_t size = w->seen != NULL ? 2 * (w->seen_mask + 1) : 1024;
		uint32_t *table = calloc(size, sizeof(*table));
		if (table == NULL)
			return err_oom(err);
		for (uint32_t i = 0; i < w->seen_hashes.len; i++)
			*seen_place(w, table, size - 1, w->seen_hashes.items[i].text) = i + 1;
		free(w->seen);
		w->seen = table;
		w->seen_mask = size - 1;
	}
	uint32_t *place = seen_place(w, w->seen, w->seen_mask, hash);
	if (*place != 0)
		return 0;
	if (w->seen_hashes.len == PATHS_MAX)
		return err_raise(
			err, ERR_LIMIT, "the closure has more than %d store paths", PATHS_MAX);
	struct seen_hash copy;
	memcpy(copy.text, hash, STORE_PATH_HASH_LEN);
	if (vec_push(&w->seen_hashes, copy, err) < 0)
		return -1;
	*place = (uint32_t)w->seen_hashes.len;
	return 1;
}

/* A question to the first cache. `path` is consumed. */
static int put_ask(struct walk *w, const char *hash, char *path, size_t referrer, struct err *err)
{
	struct ask ask = {.path = path, .referrer = referrer};
	memcpy(ask.hash, hash, STORE_PATH_HASH_LEN);
	if (vec_push(&w->asks, ask, err) == 0)
		return 0;
	free(path);
	return -1;
}

/* The same question to another cache, at the end of the line. */
static int put_again(struct walk *w, size_t i, size_t cache, bool sure, struct err *err)
{
	struct ask again = w->asks.items[i];
	again.cache = cache;
	again.sure = sure;
	again.passed = again.passed && !sure;
	if (vec_push(&w->asks, again, err) < 0)
		return -1;
	w->asks.items[i].path = NULL;
	return 0;
}

static int put_refs(struct walk *w, size_t referrer, struct err *err)
{
	size_t count = w->cached->paths.items[referrer].info.refs.len;
	for (size_t i = 0; i < count; i++) {
		const char *ref = w->cached->paths.items[referrer].info.refs.items[i];
		const char *hash = ref + strlen(CACHES_STORE_DIR) + 1;
		int fresh = see(w, hash, err);
		if (fresh < 0)
			return -1;
		if (fresh == 0)
			continue;
		char *path = strdup(ref);
		if (path == NULL)
			return err_oom(err);
		if (put_ask(w, hash, path, referrer, err) < 0)
			return -1;
	}
	return 0;
}

/* Moves on to the next cache that may have it, by what is remembered; false when all have just now
 * said that they do not. */
static bool choose_cache(const struct walk *w, struct ask *ask)
{
	const struct caches *caches = w->caches;
	size_t cache = ask->cache;
	bool before = false;
	for (; cache < caches->list.len; cache++) {
		enum absence absence = absent_find(
			&caches->absent, caches->list.items[cache].number, ask->hash, time(NULL));
		if (absence == ABSENCE_UNKNOWN || (absence == ABSENCE_BEFORE && ask->sure))
			break;
		before |= absence == ABSENCE_BEFORE;
	}
	ask->passed |= before;
	ask->cache = cache < caches->list.len ? cache : caches->list.len - 1;
	return cache < caches->list.len;
}

/* Asks nobody when all caches are known not to have it. */
static int begin_ask(struct walk *w, struct ask *ask, struct err *err)
{
	if (!choose_cache(w, ask))
		return 0;
	char file[STORE_PATH_HASH_LEN + sizeof(".narinfo")];
	memcpy(file, ask->hash, STORE_PATH_HASH_LEN);
	memcpy(file + STORE_PATH_HASH_LEN, ".narinfo", sizeof(".narinfo"));
	return cache_fetch(w->caches, ask->cache, file, &ask->download, err);
}

int cached_path_parse(const char *url, const char *hash, const struct buf *text,
	struct cached_path *ret, struct err *err)
{
	ERR_SCOPE(err, "narinfo '%s'", url);
	struct cached_path path = {0};
	if (narinfo_parse((const char *)text->data, text->len, hash, CACHES_STORE_DIR, &path.info,
		    err) < 0)
		return -1;
	*ret = path;
	return 0;
}

int cached_path_judge(
	const struct trust *trust, const char *url, struct cached_path *path, struct err *err)
{
	ERR_SCOPE(err, "narinfo '%s'", url);
	return trust_check(
		trust, &path->info, CACHES_STORE_DIR, &path->is_file, &path->file_hash, err);
}

static struct answer *answer_to(struct walk *w, size_t i)
{
	return &w->answers[i % AT_ONCE];
}

/* Waits for the answer to question i, which is then judged while others are read. */
static void read_answer(struct walk *w, size_t i)
{
	AUTO_BUF text = {0};
	const struct ask *ask = &w->asks.items[i];
	struct answer *answer = answer_to(w, i);
	if (ask->download == NULL) {
		err_raise(&answer->failure, ERR_NOT_FOUND, "it was not there a moment ago");
		answer->judged = true;
		return;
	}
	answer->url = download_url(ask->download);
	if (cache_read_all(ask->download, NARINFO_TEXT_MAX, &text, &answer->failure) == 0 &&
		cached_path_parse(answer->url, ask->hash, &text, &answer->path, &answer->failure) ==
			0)
		notary_submit(w->notary, answer);
	else
		answer->judged = true;
}

/* The answer to question i, judged, or what is wrong with it. */
static int take_answer(struct walk *w, size_t i, struct cached_path *ret, struct err *err)
{
	const struct ask *ask = &w->asks.items[i];
	AUTO(answer_done) struct answer answer = {0};
	notary_await(w->notary, answer_to(w, i));
	answer = *answer_to(w, i);
	*answer_to(w, i) = (struct answer){0};
	if (!err_clean(&answer.failure)) {
		*err = answer.failure;
		return -1;
	}
	if (ask->path != NULL && strcmp(ask->path, answer.path.info.path) != 0)
		return err_raise(err, ERR_CORRUPT, "narinfo '%s': it is of '%s', not of '%s'",
			answer.url, answer.path.info.path, ask->path);
	*ret = answer.path;
	ret->cache = ask->cache;
	answer.path = (struct cached_path){0};
	return 0;
}

static int not_found(const struct walk *w, const struct ask *ask, struct err *err)
{
	const char *what = ask->path != NULL ? ask->path : ask->hash;
	if (w->caches->list.len == 1)
		err_raise(err, ERR_NOT_FOUND, "'%s' is not in the cache '%s'", what,
			w->caches->list.items[0].name);
	else
		err_raise(err, ERR_NOT_FOUND, "'%s' is in none of the %zu caches", what,
			w->caches->list.len);
	if (ask->referrer != SIZE_MAX)
		err_prefix(err, "'%s' refers to what is missing",
			w->cached->paths.items[ask->referrer].info.path);
	return -1;
}

/* Believes the answer to question i, or asks the next cache. */
static int end_ask(struct walk *w, size_t i, struct err *err)
{
	struct cached_path path;
	struct err failed = ERR_INIT;
	int r = take_answer(w, i, &path, &failed);
	struct ask *ask = &w->asks.items[i];
	const struct cache *cache = &w->caches->list.items[ask->cache];
	if (r < 0 && failed.kind == ERR_NOT_FOUND && ask->download != NULL &&
		strncmp(cache->url, "file:", 5) != 0)
		absent_put(&w->caches->absent, cache->number, ask->hash, time(NULL));
	ask->download = download_stop(ask->download);
	if (r == 0) {
		if (vec_push(&w->cached->paths, path, err) < 0) {
			cached_path_done(&path);
			return -1;
		}
		return put_refs(w, w->cached->paths.len - 1, err);
	}
	bool is_last = ask->cache + 1 == w->caches->list.len;
	if (failed.kind == ERR_NOT_FOUND && is_last)
		return ask->passed ? put_again(w, i, 0, true, err) : not_found(w, ask, err);
	if (is_last || failed.kind == ERR_NOMEM) {
		*err = failed;
		return -1;
	}
	if (failed.kind != ERR_NOT_FOUND)
		log_warning("%s, asking '%s' instead", failed.msg,
			w->caches->list.items[ask->cache + 1].name);
	return put_again(w, i, ask->cache + 1, ask->sure, err);
}

/* Answers are read ahead, so that there is always one to judge. */
static int walk_all(struct walk *w, struct err *err)
{
	size_t begun = 0, read = 0, ended = 0;
	while (ended < w->asks.len) {
		for (; begun < w->asks.len && begun < ended + AT_ONCE; begun++)
			if (begin_ask(w, &w->asks.items[begun], err) < 0)
				return -1;
		bool judged = read > ended && notary_has_judged(w->notary, answer_to(w, ended));
		if (read < begun && !judged) {
			read_answer(w, read++);
			continue;
		}
		if (end_ask(w, ended++, err) < 0)
			return -1;
		progress_update(w->progress, w->cached->paths.len, NULL);
	}
	return 0;
}

static int compare_paths(const void *a, const void *b)
{
	const struct cached_path *x = a, *y = b;
	return strcmp(x->info.path, y->info.path);
}

static size_t find_path(const struct cached_closure *cached, const char *path)
{
	struct cached_path key = {.info.path = (char *)path};
	const struct cached_path *found =
		bsearch(&key, cached->paths.items, cached->paths.len, sizeof(key), compare_paths);
	return found != NULL ? (size_t)(found - cached->paths.items) : SIZE_MAX;
}

static int copy_text(const char *text, char **ret, struct err *err)
{
	*ret = text != NULL ? strdup(text) : NULL;
	return text == NULL || *ret != NULL ? 0 : err_oom(err);
}

static int fill_item(const struct cached_closure *cached, const struct narinfo *from,
	struct path_info *to, struct err *err)
{
	to->nar_hash = from->nar_hash;
	to->nar_size = from->nar_size;
	to->registration_time = 1;
	if (copy_text(from->path, &to->path, err) < 0 ||
		copy_text(from->deriver, &to->deriver, err) < 0 ||
		copy_text(from->ca, &to->ca, err) < 0)
		return -1;
	if (from->sigs.len > 0 && (to->sigs = strvec_join(&from->sigs, " ", err)) == NULL)
		return -1;
	to->refs = calloc(from->refs.len + 1, sizeof(*to->refs));
	if (to->refs == NULL)
		return err_oom(err);
	for (size_t i = 0; i < from->refs.len; i++) {
		size_t ref = find_path(cached, from->refs.items[i]);
		/* Two names with one hash: only one of them was asked for. */
		if (ref == SIZE_MAX)
			return err_raise(err, ERR_CORRUPT,
				"'%s' refers to '%s', whose hash belongs to another path",
				from->path, from->refs.items[i]);
		to->refs[to->ref_count++] = ref;
	}
	return 0;
}

int cached_closure_build(struct cached_closure *cached, struct err *err)
{
	struct closure *closure = &cached->closure;
	size_t count = cached->paths.len;
	qsort(cached->paths.items, count, sizeof(*cached->paths.items), compare_paths);
	closure->items = calloc(count + 1, sizeof(*closure->items));
	closure->store_dir = strdup(CACHES_STORE_DIR);
	closure->real_dir = strdup(CACHES_STORE_DIR);
	cached->path_of = calloc(count + 1, sizeof(*cached->path_of));
	if (closure->items == NULL || closure->store_dir == NULL || closure->real_dir == NULL ||
		cached->path_of == NULL)
		return err_oom(err);
	closure->len = count;
	for (size_t i = 0; i < count; i++)
		if (fill_item(cached, &cached->paths.items[i].info, &closure->items[i], err) < 0)
			return -1;
	if (closure_sort(closure, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		cached->path_of[i] = find_path(cached, closure->items[i].path);
	return 0;
}

/* The first question: by a whole path, or by its hash. */
static int begin(struct walk *w, const char *name, struct err *err)
{
	size_t skip = strlen(CACHES_STORE_DIR) + 1;
	const char *hash = name[0] == '/' ? name + skip : name;
	AUTO_FREE char *path = NULL;
	if (strlen(hash) > STORE_PATH_HASH_LEN) {
		path = path_printf(err, "%s/%s", CACHES_STORE_DIR, hash);
		if (path == NULL || store_path_check(path, CACHES_STORE_DIR, err) < 0)
			return -1;
	}
	if (see(w, hash, err) < 0)
		return -1;
	return put_ask(w, hash, TAKE_PTR(path), SIZE_MAX, err);
}

/* For the next process, which asks again if this fails. */
static void keep_absent(struct caches *caches)
{
	struct err tolerated = ERR_INIT;
	if (caches->absent_file != NULL &&
		absent_save(&caches->absent, caches->absent_file, time(NULL), &tolerated) < 0)
		log_ignored(&tolerated);
}

int caches_closure(struct caches *caches, const char *name, struct progress *progress,
	struct cached_closure **ret, char **ret_path, struct err *err)
{
	AUTO(walk_done)
	struct walk w = {.caches = caches,
		.progress = progress,
		.cached = calloc(1, sizeof(struct cached_closure))};
	if (w.cached == NULL)
		return err_oom(err);
	if (notary_new(caches->trust, &w.notary, err) < 0 || begin(&w, name, err) < 0)
		return -1;
	progress_begin(progress, "look up", 0, "paths");
	int r = walk_all(&w, err);
	progress_end(progress);
	keep_absent(caches);
	if (r < 0)
		return -1;
	/* The first answer is that to the user's question; sorting moves it. */
	AUTO_FREE char *path = strdup(w.cached->paths.items[0].info.path);
	if (path == NULL)
		return err_oom(err);
	if (cached_closure_build(w.cached, err) < 0)
		return -1;
	*ret = TAKE_PTR(w.cached);
	*ret_path = TAKE_PTR(path);
	return 0;
}
