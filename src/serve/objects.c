/* SPDX-License-Identifier: MIT */
/*
 * Two sorted arrays, made once per boot by the builder's thread and only read afterwards. A chunk
 * that stands in several places is kept once, and is private when one of the places is: content
 * that must not leave by a peer does not do so because somebody else has it, too.
 */
#include "serve/objects.h"

#include "base/fd.h"
#include "pool/pool.h"

#include <fcntl.h>
#include <string.h>

void object_set_done(struct object_set *set)
{
	VEC_FOREACH(object, &set->objects)
		free(object->path);
	vec_done(&set->objects);
	vec_done(&set->chunks);
	*set = (struct object_set){0};
}

/* While it grows, chunks name their object by the order in which objects were added. */
static int add_object(struct object_set *set, struct pool *pool, const struct digest *digest,
	uint64_t size, struct err *err)
{
	struct object object = {.digest = *digest, .size = size};
	object.path = pool_object_path(pool, digest, err);
	if (object.path == NULL)
		return -1;
	if (vec_push(&set->objects, object, err) < 0) {
		free(object.path);
		return -1;
	}
	return 0;
}

static int add_chunk(struct object_set *set, const struct chunk *chunk, struct chunk_place place,
	struct err *err)
{
	place.digest = chunk->digest;
	place.off = chunk->off;
	place.len = chunk->len;
	place.object = (uint32_t)(set->objects.len - 1);
	return vec_push(&set->chunks, place, err);
}

static int add_blob(
	struct object_set *set, struct pool *pool, const struct blob *blob, struct err *err)
{
	if (blob->size == 0)
		return 0;
	if (add_object(set, pool, &blob->digest, blob->size, err) < 0)
		return -1;
	for (size_t i = 0; i < blob->pieces.len; i++) {
		struct chunk piece = blob_chunk(blob, i);
		if (add_chunk(set, &piece, (struct chunk_place){.member = UINT32_MAX}, err) < 0)
			return -1;
	}
	return 0;
}

static int add_segment(struct object_set *set, struct pool *pool,
	const struct catalog_member *member, uint32_t number, struct err *err)
{
	if (member->chunks.size == 0)
		return 0;
	ERR_SCOPE(err, "chunks of '%s'", member->name);
	AUTO_BUF bytes = {0};
	AUTO(chunk_table_done) struct chunk_table table = {0};
	if (pool_get(pool, &member->chunks.digest, &bytes, err) < 0 ||
		chunk_table_decode(bytes.data, bytes.len, &table, err) < 0 ||
		add_object(set, pool, &table.object, table.size, err) < 0)
		return -1;
	for (size_t i = 0; i < table.digests.len; i++) {
		struct chunk chunk = chunk_table_at(&table, i);
		const struct chunk_place place = {
			.member = number, .index = (uint32_t)i, .is_private = member->is_private};
		if (add_chunk(set, &chunk, place, err) < 0)
			return -1;
	}
	return 0;
}

static int compare_objects(const void *a, const void *b)
{
	return digest_compare(
		&((const struct object *)a)->digest, &((const struct object *)b)->digest);
}

static int compare_chunks(const void *a, const void *b)
{
	return digest_compare(
		&((const struct chunk_place *)a)->digest, &((const struct chunk_place *)b)->digest);
}

/* Sorts the objects, each once, and lets the chunks name them by where they are then. */
static int sort_objects(struct object_set *set, struct err *err)
{
	size_t count = set->objects.len, kept = 0;
	AUTO_FREE struct digest *names = malloc((count + 1) * sizeof(*names));
	if (names == NULL)
		return err_oom(err);
	for (size_t i = 0; i < count; i++)
		names[i] = set->objects.items[i].digest;
	struct object *objects = set->objects.items;
	if (count > 0)
		qsort(objects, count, sizeof(*objects), compare_objects);
	for (size_t i = 0; i < count; i++) {
		if (kept > 0 && digest_equal(&objects[kept - 1].digest, &objects[i].digest))
			free(objects[i].path);
		else
			objects[kept++] = objects[i];
	}
	set->objects.len = kept;
	VEC_FOREACH(chunk, &set->chunks)
		chunk->object = (uint32_t)(object_set_find(set, &names[chunk->object]) - objects);
	return 0;
}

static void sort_chunks(struct object_set *set)
{
	struct chunk_place *chunks = set->chunks.items;
	size_t kept = 0;
	if (set->chunks.len > 0)
		qsort(chunks, set->chunks.len, sizeof(*chunks), compare_chunks);
	for (size_t i = 0; i < set->chunks.len; i++) {
		struct chunk_place *last = kept > 0 ? &chunks[kept - 1] : NULL;
		if (last == NULL || !digest_equal(&last->digest, &chunks[i].digest)) {
			chunks[kept++] = chunks[i];
			continue;
		}
		bool is_private = last->is_private || chunks[i].is_private;
		if (last->member > chunks[i].member ||
			(last->member == chunks[i].member && last->index > chunks[i].index))
			*last = chunks[i]; /* the first place, whatever qsort() made of equals */
		last->is_private = is_private;
	}
	set->chunks.len = kept;
}

int object_set_read(struct pool *pool, const struct catalog *catalog,
	const struct blob *catalog_blob, struct object_set *ret, struct err *err)
{
	AUTO(object_set_done) struct object_set set = {0};
	if (add_blob(&set, pool, catalog_blob, err) < 0)
		return -1;
	for (size_t i = 0; i < catalog->files.len; i++)
		if (add_blob(&set, pool, &catalog->files.items[i].blob, err) < 0)
			return -1;
	for (size_t i = 0; i < catalog->members.len; i++) {
		const struct catalog_member *m = &catalog->members.items[i];
		if (add_blob(&set, pool, &m->tree, err) < 0 ||
			add_blob(&set, pool, &m->chunks, err) < 0 ||
			add_segment(&set, pool, m, (uint32_t)i, err) < 0)
			return -1;
	}
	if (sort_objects(&set, err) < 0)
		return -1;
	sort_chunks(&set);
	*ret = set;
	set = (struct object_set){0};
	return 0;
}

const struct object *object_set_find(const struct object_set *set, const struct digest *digest)
{
	const struct object key = {.digest = *digest};
	return set->objects.len == 0
		? NULL
		: bsearch(&key, set->objects.items, set->objects.len, sizeof(key), compare_objects);
}

const struct chunk_place *object_set_chunk(
	const struct object_set *set, const struct digest *digest)
{
	const struct chunk_place key = {.digest = *digest};
	return set->chunks.len == 0
		? NULL
		: bsearch(&key, set->chunks.items, set->chunks.len, sizeof(key), compare_chunks);
}

int object_set_load(const struct object_set *set, const struct chunk_place *place, uint32_t off,
	void *data, uint32_t len, struct err *err)
{
	const char *path = set->objects.items[place->object].path;
	AUTO_FD int fd = -1;
	size_t got = 0;
	uint64_t at = place->off + off;
	if (fd_open(AT_FDCWD, path, O_RDONLY, &fd, err) < 0 ||
		fd_pread_full(fd, data, len, at, path, &got, err) < 0)
		return -1;
	if (got < len)
		return err_raise(err, ERR_CORRUPT,
			"'%s' ends before offset %llu, where %u bytes are expected", path,
			(unsigned long long)at, len);
	return 0;
}
