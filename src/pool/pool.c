/* SPDX-License-Identifier: MIT */
/* The pool as a whole: its directory, opening, look-ups, memo. */
#include "pool/handle.h"
#include "pool/object.h"

#include "base/fd.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

char *pool_default_dir(struct err *err)
{
	const char *own = getenv("SNOWBOOT_POOL"), *cache = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");
	if (own != NULL && own[0] != '\0')
		return path_printf(err, "%s", own);
	if (geteuid() == 0)
		return path_printf(err, "/var/cache/snowboot");
	if (cache != NULL && cache[0] == '/')
		return path_printf(err, "%s/snowboot", cache);
	if (home != NULL && home[0] == '/')
		return path_printf(err, "%s/.cache/snowboot", home);
	err_raise(err, ERR_USAGE, "no place for the pool: neither XDG_CACHE_HOME nor HOME is set");
	err_hint(err, "pass --pool DIR or set SNOWBOOT_POOL");
	return NULL;
}

static int make_dirs(const struct pool *pool, struct err *err)
{
	static const char *const names[] = {"objects", "sessions"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (mkdirat(pool->fd, names[i], 0777) < 0 && errno != EEXIST) {
			err_sys(err, "cannot create directory '%s/%s'", pool->dir, names[i]);
			return err_hint(err, "the pool must be writable; --pool names another one");
		}
	return 0;
}

/* Removes what dead processes left, unless somebody is at work; then the next one does it. */
static int sweep(struct pool *pool, struct err *err)
{
	AUTO_FD int lock = -1;
	int r = session_lock(&pool->session, SESSION_LOCK_TRY, &lock, err);
	if (r <= 0)
		return r;
	AUTO_DIGEST_LIST pins = {0};
	return session_sweep(&pool->session, &pins, err);
}

static int open_dirs(struct pool *pool, struct err *err)
{
	if (!pool->read_only && path_mkdirs(pool->dir, err) < 0)
		return -1;
	pool->fd = open(pool->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool absent = pool->fd < 0 && errno == ENOENT;
	if (pool->fd < 0 && !absent)
		return err_sys(err, "cannot open pool '%s'", pool->dir);
	if (absent || (pool->read_only && faccessat(pool->fd, "index.sqlite", F_OK, 0) < 0)) {
		err_raise(err, ERR_NOT_FOUND, "there is no pool at '%s'", pool->dir);
		return err_hint(err, "'snowboot pool add' makes one; --pool names another one");
	}
	session_init(&pool->session, pool->fd, pool->dir);
	if (!pool->read_only && (make_dirs(pool, err) < 0 || sweep(pool, err) < 0))
		return -1;
	return 0;
}

/* The first of several processes makes the tables while the others wait. */
static int open_index(struct pool *pool, struct err *err)
{
	AUTO_FD int lock = -1;
	bool is_new = faccessat(pool->fd, "index.sqlite", F_OK, 0) < 0;
	if (is_new && session_lock(&pool->session, SESSION_LOCK_EXCLUSIVE, &lock, err) < 0)
		return -1;
	return index_open(pool->dir, pool->read_only, &pool->index, err);
}

int pool_open(const char *dir, enum pool_flags flags, struct pool **ret, struct err *err)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	if (pool == NULL)
		return err_oom(err);
	pool->fd = -1;
	session_init(&pool->session, -1, "");
	pool->read_only = (flags & POOL_READ_ONLY) != 0;
	pool->dir = path_printf(err, "%s", dir);
	if (pool->dir == NULL || open_dirs(pool, err) < 0 || open_index(pool, err) < 0) {
		pool_close(pool);
		return -1;
	}
	*ret = pool;
	return 0;
}

struct pool *pool_close(struct pool *pool)
{
	if (pool == NULL)
		return NULL;
	index_close(pool->index);
	session_done(&pool->session);
	fd_close_ptr(&pool->fd);
	free(pool->dir);
	free(pool);
	return NULL;
}

const char *pool_dir(const struct pool *pool)
{
	return pool->dir;
}

/* Whether a look-up should write that the row is in use. */
static bool is_stale(const struct pool *pool, const struct index_row *row)
{
	return !pool->read_only && row->last_used <= (int64_t)time(NULL) - POOL_USED_GRAIN_S;
}

int pool_find(struct pool *pool, const struct digest *nar_hash, const struct pool_params *params,
	struct pool_segment *ret, struct err *err)
{
	char text[INDEX_PARAMS_SIZE];
	index_params_text(params, text);
	struct index_row row;
	int r = index_find(pool->index, nar_hash, text, &row, err);
	if (r <= 0)
		return r;
	struct err tolerated = ERR_INIT;
	if (is_stale(pool, &row))
		(void)index_touch(pool->index, nar_hash, text, &tolerated);
	*ret = row.segment;
	return 1;
}

/* A full disk or a busy index must not keep a system from being used, so nothing here fails. */
static void touch_all(struct pool *pool, const struct closure *closure, const char *params)
{
	struct err tolerated = ERR_INIT;
	if (index_begin(pool->index, &tolerated) < 0)
		return;
	for (size_t i = 0; i < closure->len; i++)
		if (index_touch(pool->index, &closure->items[i].nar_hash, params, &tolerated) < 0) {
			index_rollback(pool->index);
			return;
		}
	(void)index_commit(pool->index, &tolerated);
}

int pool_find_closure(struct pool *pool, const struct closure *closure,
	const struct pool_params *params, struct pool_segment **ret_segments, size_t *ret_missing,
	struct err *err)
{
	char text[INDEX_PARAMS_SIZE];
	index_params_text(params, text);
	AUTO_FREE struct pool_segment *segments = calloc(closure->len + 1, sizeof(*segments));
	if (segments == NULL)
		return err_oom(err);
	bool stale = false;
	for (size_t i = 0; i < closure->len; i++) {
		struct index_row row;
		int r = index_find(pool->index, &closure->items[i].nar_hash, text, &row, err);
		if (r == 0)
			*ret_missing = i;
		if (r <= 0)
			return r;
		segments[i] = row.segment;
		stale = stale || is_stale(pool, &row);
	}
	if (stale)
		touch_all(pool, closure, text);
	*ret_segments = TAKE_PTR(segments);
	return 1;
}

int pool_pin(struct pool *pool, const struct digest *objects, size_t count, struct err *err)
{
	AUTO_FD int lock = -1;
	if (!pool->read_only) {
		if (session_begin(&pool->session, err) < 0 ||
			session_lock(&pool->session, SESSION_LOCK_SHARED, &lock, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < count; i++)
		if (object_exists(pool, &objects[i], err) <= 0) {
			if (!err_clean(err))
				return -1;
			char hex[DIGEST_HEX_SIZE];
			err_raise(err, ERR_NOT_FOUND, "pool '%s' has no object '%s' any more",
				pool->dir, digest_hex(&objects[i], hex));
			return err_hint(err,
				"if it was not 'snowboot pool gc', 'snowboot pool verify --repair' "
				"finds out what else is lost");
		}
	return pool->read_only ? 0 : session_pin(&pool->session, objects, count, err);
}

int pool_scratch(struct pool *pool, char **ret_dir, struct err *err)
{
	AUTO_FREE char *name = NULL;
	if (session_begin(&pool->session, err) < 0 ||
		session_scratch(&pool->session, &name, err) < 0)
		return -1;
	/* Absolute, as who reads below it may resolve names in it. */
	AUTO_FREE char *dir = path_printf(err, "%s/%s", pool->dir, name);
	char *real = dir != NULL ? realpath(dir, NULL) : NULL;
	if (real == NULL)
		return err_clean(err) ? err_sys(err, "cannot open '%s'", dir) : -1;
	*ret_dir = real;
	return 0;
}

void pool_scratch_remove(struct pool *pool, const char *dir)
{
	session_remove(&pool->session, path_basename(dir));
}

int pool_memo_get(struct pool *pool, const struct digest *key, struct digest *ret, struct err *err)
{
	return index_memo_get(pool->index, key, ret, err);
}

int pool_memo_put(
	struct pool *pool, const struct digest *key, const struct digest *object, struct err *err)
{
	uint64_t size;
	if (pool->read_only)
		return 0; /* it would only save time */
	if (object_size(pool, object, &size, err) < 0)
		return -1;
	return index_memo_put(pool->index, key, object, size, err);
}
