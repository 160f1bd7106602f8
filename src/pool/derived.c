/* SPDX-License-Identifier: MIT */
/*
 * Derived objects in bulk: thousands of small ones cost two trips to the disk, not two each. As
 * everywhere, objects appear before the rows that refer to them, all under one shared lock.
 */
#include "pool/object.h"

#include "base/fd.h"

static int remember_all(
	struct pool *pool, const struct pool_derived *items, size_t count, struct err *err)
{
	if (index_begin(pool->index, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (index_memo_put(
			    pool->index, &items[i].key, &items[i].object, items[i].size, err) < 0) {
			index_rollback(pool->index);
			return -1;
		}
	return index_commit(pool->index, err);
}

static int write_new(struct pool *pool, struct pool_derived *items, size_t count,
	struct pending *pending, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		items[i].object = digest_of(items[i].data, items[i].size);
		int exists = object_exists(pool, &items[i].object, err);
		if (exists < 0 || session_pin(&pool->session, &items[i].object, 1, err) < 0)
			return -1;
		if (exists == 0 &&
			pending_write(pool, items[i].data, items[i].size, &pending[i], err) < 0)
			return -1;
	}
	return 0;
}

int pool_keep(struct pool *pool, struct pool_derived *items, size_t count, struct err *err)
{
	if (count == 0)
		return 0;
	if (pool->read_only) {
		err_raise(err, ERR_NOT_FOUND,
			"pool '%s', which is only read, lacks %zu derived objects", pool->dir,
			count);
		return err_hint(
			err, "whoever may write to it makes what is missing, in the same way");
	}
	AUTO_FREE struct pending *pending = calloc(count, sizeof(*pending));
	if (pending == NULL)
		return err_oom(err);
	AUTO_FD int lock = -1;
	if (session_begin(&pool->session, err) < 0 ||
		session_lock(&pool->session, SESSION_LOCK_SHARED, &lock, err) < 0)
		return -1;
	int r = write_new(pool, items, count, pending, err);
	if (r == 0)
		r = object_appear(pool, pending, count, err);
	for (size_t i = 0; i < count; i++)
		pending_done(pool, &pending[i]);
	return r < 0 ? -1 : remember_all(pool, items, count, err);
}
