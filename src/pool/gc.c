/* SPDX-License-Identifier: MIT */
/*
 * Keeping the pool to a size, and counting it. Rows go before their objects: a kill in between
 * leaves objects that nothing refers to, which the next collection removes. The same holds for a
 * power cut, since the rows are gone from the disk first.
 */
#include "pool/object.h"
#include "pool/scan.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* What is on the disk and what the index knows of it. */
struct census {
	struct found_objects objects;
	struct index_refs refs;
	uint64_t bytes;
};

static void census_done(struct census *census)
{
	found_objects_done(&census->objects);
	index_refs_done(&census->refs);
}

static int census_take(struct pool *pool, struct census *census, struct err *err)
{
	*census = (struct census){0};
	if (scan_objects(pool, &census->objects, NULL, NULL, err) < 0 ||
		index_list(pool->index, &census->refs, err) < 0)
		return -1;
	scan_mark(&census->objects, &census->refs, &(struct digest_list){0});
	for (size_t i = 0; i < census->objects.len; i++)
		census->bytes += census->objects.items[i].size;
	return 0;
}

int pool_stat(struct pool *pool, struct pool_stat *ret, struct err *err)
{
	AUTO(census_done) struct census census = {0};
	struct pool_stat stat = {0};
	if (census_take(pool, &census, err) < 0)
		return -1;
	for (size_t i = 0; i < census.refs.len; i++) {
		const struct index_ref *ref = &census.refs.items[i];
		stat.memos += ref->is_memo;
		stat.segments += !ref->is_memo;
		stat.nar_bytes += ref->nar_size;
	}
	for (size_t i = 0; i < census.objects.len; i++) {
		const struct found_object *object = &census.objects.items[i];
		bool unused = object->refs == 0;
		stat.unused += unused;
		stat.unused_bytes += unused ? object->size : 0;
	}
	stat.objects = census.objects.len;
	stat.object_bytes = census.bytes;
	*ret = stat;
	return 0;
}

/* Removes an object's file. */
static int remove_object(struct pool *pool, const struct found_object *object,
	struct pool_gc_result *result, struct err *err)
{
	char name[OBJECT_NAME_SIZE];
	if (unlinkat(pool->fd, object_name(&object->object, name), 0) < 0 && errno != ENOENT)
		return err_sys(err, "cannot remove '%s/%s'", pool->dir, name);
	result->removed++;
	result->removed_bytes += object->size;
	return 0;
}

/* False when some process keeps what the row needs. */
static bool may_drop(const struct scan_row *row)
{
	for (size_t i = 0; i < row->count; i++)
		if (row->objects[i] != NULL && row->objects[i]->pinned)
			return false;
	return true;
}

/* Drops rows, least recently used first, until what the others need fits. */
static int drop_rows(struct pool *pool, struct census *census, uint64_t max_bytes, struct err *err)
{
	uint64_t needed = 0;
	for (size_t i = 0; i < census->objects.len; i++) {
		const struct found_object *object = &census->objects.items[i];
		needed += object->refs > 0 || object->pinned ? object->size : 0;
	}
	for (size_t i = 0; i < census->refs.len && needed > max_bytes; i++) {
		struct scan_row row = scan_row(&census->objects, &census->refs.items[i]);
		if (!may_drop(&row))
			continue;
		for (size_t j = 0; j < row.count; j++)
			if (row.objects[j] != NULL && --row.objects[j]->refs == 0)
				needed -= row.objects[j]->size;
		if (index_drop(pool->index, &census->refs.items[i], err) < 0)
			return -1;
	}
	return 0;
}

static int collect(struct pool *pool, struct census *census, uint64_t max_bytes,
	struct pool_gc_result *result, struct err *err)
{
	if (index_begin_durable(pool->index, err) < 0)
		return -1;
	if (drop_rows(pool, census, max_bytes, err) < 0) {
		index_rollback(pool->index);
		return -1;
	}
	if (index_commit(pool->index, err) < 0)
		return -1;
	for (size_t i = 0; i < census->objects.len; i++) {
		const struct found_object *object = &census->objects.items[i];
		if (object->refs > 0 || object->pinned)
			continue;
		if (remove_object(pool, object, result, err) < 0)
			return -1;
	}
	return 0;
}

int pool_gc(struct pool *pool, uint64_t max_bytes, struct pool_gc_result *ret, struct err *err)
{
	AUTO_FD int lock = -1;
	if (session_lock(&pool->session, SESSION_LOCK_EXCLUSIVE, &lock, err) < 0)
		return -1;
	AUTO(census_done) struct census census = {0};
	AUTO_DIGEST_LIST pins = {0};
	if (session_sweep(&pool->session, &pins, err) < 0 || census_take(pool, &census, err) < 0)
		return -1;
	scan_mark(&census.objects, &(struct index_refs){0}, &pins);
	struct pool_gc_result result = {0};
	if (collect(pool, &census, max_bytes, &result, err) < 0)
		return -1;
	result.left_bytes = census.bytes - result.removed_bytes;
	*ret = result;
	return 0;
}
