/* SPDX-License-Identifier: MIT */
/*
 * Filling the pool. Packed store paths are kept under temporary names until there are enough of
 * them to pay for a trip to the disk; then they appear together. A kill loses at most that.
 */
#include "pool/pack.h"

#include "base/fd.h"
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define BATCH_PATHS 128
#define BATCH_BYTES ((uint64_t)512 << 20)

/* A store path on its way. */
struct filling {
	size_t item; /* of the closure */
	struct packed packed;
};

struct filler {
	struct pool *pool;
	const struct closure *closure;
	const struct pool_supply *supply; /* NULL: the paths are on the disk */
	char params[INDEX_PARAMS_SIZE];
	size_t *todo; /* items of the closure */
	size_t todo_count;
	pthread_mutex_t index_lock;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t wake;  /* of the committer: there is a batch, or no more to come */
	VEC(struct filling) packed;
	uint64_t packed_bytes;
	bool closing;
	struct err commit_err; /* why the committer gave up */
	struct progress *progress;
	uint64_t done; /* bytes of NAR */
};

static void release(const struct pool *pool, struct filling *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		pending_done(pool, &items[i].packed.data);
		pending_done(pool, &items[i].packed.tree);
	}
}

static int index_all(struct filler *f, const struct filling *items, size_t count, struct err *err)
{
	if (index_begin(f->pool->index, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const struct path_info *info = &f->closure->items[items[i].item];
		struct index_row row = {.nar_hash = info->nar_hash,
			.nar_size = info->nar_size,
			.segment = items[i].packed.segment};
		if (index_put(f->pool->index, &row, f->params, err) < 0) {
			index_rollback(f->pool->index);
			return -1;
		}
	}
	return index_commit(f->pool->index, err);
}

/* Makes packed store paths appear: objects first, then what refers to them. */
static int commit(struct filler *f, struct filling *items, size_t count, struct err *err)
{
	AUTO_FREE struct pending *pending = calloc(2 * count, sizeof(*pending));
	if (pending == NULL)
		return err_oom(err);
	AUTO_FD int lock = -1;
	if (session_lock(&f->pool->session, SESSION_LOCK_SHARED, &lock, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		pending[2 * i] = items[i].packed.data;
		pending[2 * i + 1] = items[i].packed.tree;
		items[i].packed.data.temp = items[i].packed.tree.temp = NULL;
	}
	int r = object_appear(f->pool, pending, 2 * count, err);
	for (size_t i = 0; i < 2 * count; i++)
		pending_done(f->pool, &pending[i]);
	if (r < 0)
		return -1;
	pthread_mutex_lock(&f->index_lock);
	r = index_all(f, items, count, err);
	pthread_mutex_unlock(&f->index_lock);
	return r;
}

/* Takes what is packed once it is worth it, or nothing when no more is to come. Under the lock. */
static struct filling *take_batch(struct filler *f, size_t *ret_count)
{
	while (!f->closing && f->packed.len < BATCH_PATHS && f->packed_bytes < BATCH_BYTES)
		pthread_cond_wait(&f->wake, &f->lock);
	struct filling *items = f->packed.items;
	*ret_count = f->packed.len;
	memset(&f->packed, 0, sizeof(f->packed));
	f->packed_bytes = 0;
	return items;
}

/* A thread of its own, since it mostly waits for the disk while the others have work to do. */
static void *run_committer(void *data)
{
	struct filler *f = data;
	size_t count;
	pthread_mutex_lock(&f->lock);
	while (true) {
		struct filling *items = take_batch(f, &count);
		if (count == 0)
			break;
		pthread_mutex_unlock(&f->lock);
		struct err err = ERR_INIT;
		int r = commit(f, items, count, &err);
		release(f->pool, items, count);
		free(items);
		pthread_mutex_lock(&f->lock);
		if (r < 0 && err_clean(&f->commit_err))
			f->commit_err = err;
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

/* Hands a packed store path to the committer. */
static int hand_over(struct filler *f, struct filling *filling, struct err *err)
{
	pthread_mutex_lock(&f->lock);
	int r = vec_push(&f->packed, *filling, err);
	f->packed_bytes += filling->packed.segment.data_size;
	bool gave_up = !err_clean(&f->commit_err);
	if (r == 0 && gave_up)
		*err = f->commit_err;
	pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->lock);
	if (r < 0)
		release(f->pool, filling, 1);
	return r < 0 || gave_up ? -1 : 0;
}

static void tell(struct filler *f, uint64_t bytes, const char *subject)
{
	pthread_mutex_lock(&f->lock);
	f->done += bytes;
	progress_update(f->progress, f->done, subject);
	pthread_mutex_unlock(&f->lock);
}

/* What one task reports to: the bytes of its files are not quite those of its NAR. */
struct report {
	struct filler *filler;
	const struct path_info *info;
	uint64_t told;
};

static void on_progress(void *data, uint64_t bytes)
{
	struct report *report = data;
	uint64_t left = report->info->nar_size - report->told;
	if (bytes > left)
		bytes = left;
	report->told += bytes;
	tell(report->filler, bytes, report->info->path);
}

/* 1 when the store path was added meanwhile by somebody else. */
static int is_there(struct filler *f, const struct path_info *info, struct err *err)
{
	struct index_row row;
	pthread_mutex_lock(&f->index_lock);
	int r = index_find(f->pool->index, &info->nar_hash, f->params, &row, err);
	pthread_mutex_unlock(&f->index_lock);
	return r;
}

/* Packs what the supply brings, from the next place when one fails. */
static int pack_supplied(struct filler *f, size_t item, struct hand *hand, struct report *report,
	struct packed *ret, struct err *err)
{
	const struct pool_supply *supply = f->supply;
	struct err failed = ERR_INIT;
	for (unsigned attempt = 0;; attempt++) {
		struct pool_feed feed = {0};
		int r = supply->open(supply->data, item, attempt, &feed, err);
		if (r == 0)
			*err = failed;
		if (r <= 0)
			return -1;
		if (!err_clean(&failed))
			log_warning("%s, trying '%s' instead", failed.msg, feed.from);
		err_reset(&failed);
		struct pack_nar_job job = {.pool = f->pool,
			.info = report->info,
			.feed = &feed,
			.progress = on_progress,
			.data = report};
		r = pack_nar(&job, hand, ret, &failed);
		supply->close(supply->data, &feed);
		if (r == 0)
			return 0;
		/* What is wrong here, or everywhere, is not better from elsewhere. */
		if (failed.kind == ERR_AGAIN || failed.kind == ERR_NOMEM || failed.sys == ENOSPC) {
			*err = failed;
			return -1;
		}
	}
}

static int pack_from_disk(struct filler *f, size_t item, struct hand *hand, struct report *report,
	struct packed *ret, struct err *err)
{
	AUTO_FREE char *real_path = closure_real_path(f->closure, item, err);
	if (real_path == NULL)
		return -1;
	struct pack_job job = {.pool = f->pool,
		.path = report->info->path,
		.real_path = real_path,
		.nar_hash = report->info->nar_hash,
		.progress = on_progress,
		.data = report};
	return pack_path(&job, hand, ret, err);
}

static int fill_one(void *data, struct hand *hand, size_t i, struct err *err)
{
	struct filler *f = data;
	struct filling filling = {.item = f->todo[i]};
	const struct path_info *info = &f->closure->items[filling.item];
	int r = is_there(f, info, err);
	if (r > 0)
		tell(f, info->nar_size, info->path);
	if (r != 0)
		return r < 0 ? -1 : 0;
	struct report report = {.filler = f, .info = info};
	r = f->supply != NULL
		? pack_supplied(f, filling.item, hand, &report, &filling.packed, err)
		: pack_from_disk(f, filling.item, hand, &report, &filling.packed, err);
	if (r < 0)
		return -1;
	on_progress(&report, info->nar_size);
	return hand_over(f, &filling, err);
}

static int compare_items(const void *a, const void *b, void *data)
{
	const struct path_info *items = ((const struct closure *)data)->items;
	size_t i = *(const size_t *)a, j = *(const size_t *)b;
	if (items[i].nar_size != items[j].nar_size)
		return items[i].nar_size > items[j].nar_size ? -1 : 1;
	int order = digest_compare(&items[i].nar_hash, &items[j].nar_hash);
	return order != 0 ? order : i < j ? -1 : 1;
}

/* What is missing, once for each content; large ones first, so that no giant is left to the end. */
static int choose(struct filler *f, struct err *err)
{
	const struct closure *closure = f->closure;
	f->todo = calloc(closure->len + 1, sizeof(*f->todo));
	if (f->todo == NULL)
		return err_oom(err);
	for (size_t i = 0; i < closure->len; i++) {
		struct index_row row;
		const struct digest *nar_hash = &closure->items[i].nar_hash;
		int r = index_find(f->pool->index, nar_hash, f->params, &row, err);
		if (r < 0)
			return -1;
		if (r == 0)
			f->todo[f->todo_count++] = i;
	}
	qsort_r(f->todo, f->todo_count, sizeof(*f->todo), compare_items, (void *)closure);
	size_t kept = 0;
	for (size_t i = 0; i < f->todo_count; i++) {
		const struct path_info *info = &closure->items[f->todo[i]];
		const struct path_info *last = kept > 0 ? &closure->items[f->todo[kept - 1]] : NULL;
		if (last == NULL || !digest_equal(&info->nar_hash, &last->nar_hash))
			f->todo[kept++] = f->todo[i];
	}
	f->todo_count = kept;
	return 0;
}

static int fill_all(struct filler *f, const struct pool_params *params, struct err *err)
{
	struct crew_params crew = {.level = params->level, .jobs = params->jobs};
	if (crew.jobs == 0)
		crew.jobs = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t committer;
	int errnum = pthread_create(&committer, NULL, run_committer, f);
	if (errnum != 0)
		return err_errno(err, errnum, "cannot start a thread");
	int r = crew_run(&crew, f->todo_count, fill_one, f, err);
	/* What was finished stays, whatever else failed. */
	pthread_mutex_lock(&f->lock);
	f->closing = true;
	pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->lock);
	pthread_join(committer, NULL);
	if (r == 0 && !err_clean(&f->commit_err)) {
		*err = f->commit_err;
		r = -1;
	}
	return r;
}

static int fill(struct filler *f, const struct pool_params *params, struct err *err)
{
	if (session_begin(&f->pool->session, err) < 0)
		return -1;
	if (f->supply != NULL && f->supply->begin(f->supply->data, f->todo, f->todo_count, err) < 0)
		return -1;
	uint64_t total = 0;
	for (size_t i = 0; i < f->todo_count; i++)
		total += f->closure->items[f->todo[i]].nar_size;
	progress_begin(f->progress, f->supply != NULL ? "fetch" : "compress", total, "bytes");
	int r = fill_all(f, params, err);
	progress_end(f->progress);
	if (r < 0 && (err->sys == ENOSPC || err->kind == ERR_LIMIT))
		err_hint(err,
			"free some space, run 'snowboot pool gc', or name another pool by --pool");
	return r;
}

static int check_params(const struct pool_params *params, struct err *err)
{
	if (params->level < 1 || params->level > 19)
		return err_raise(
			err, ERR_USAGE, "zstd has levels from 1 to 19, not %d", params->level);
	if (params->jobs > 4096)
		return err_raise(err, ERR_USAGE, "%u threads are more than 4096", params->jobs);
	return 0;
}

static int refuse_writing(const struct pool *pool, size_t missing, struct err *err)
{
	err_raise(err, ERR_NOT_FOUND, "pool '%s', which is only read, lacks %zu store paths",
		pool->dir, missing);
	return err_hint(err, "'snowboot pool add SYSTEM' fills it");
}

int pool_add(struct pool *pool, const struct closure *closure, const struct pool_params *params,
	struct progress *progress, struct err *err)
{
	return pool_add_from(pool, closure, NULL, params, progress, err);
}

int pool_add_from(struct pool *pool, const struct closure *closure,
	const struct pool_supply *supply, const struct pool_params *params,
	struct progress *progress, struct err *err)
{
	if (check_params(params, err) < 0)
		return -1;
	struct filler f = {
		.pool = pool, .closure = closure, .supply = supply, .progress = progress};
	index_params_text(params, f.params);
	pthread_mutex_init(&f.lock, NULL);
	pthread_mutex_init(&f.index_lock, NULL);
	pthread_cond_init(&f.wake, NULL);
	int r = choose(&f, err);
	if (r == 0 && f.todo_count > 0 && pool->read_only)
		r = refuse_writing(pool, f.todo_count, err);
	if (r == 0 && f.todo_count > 0)
		r = fill(&f, params, err);
	free(f.todo);
	release(pool, f.packed.items, f.packed.len);
	vec_done(&f.packed);
	pthread_cond_destroy(&f.wake);
	pthread_mutex_destroy(&f.index_lock);
	pthread_mutex_destroy(&f.lock);
	return r;
}
