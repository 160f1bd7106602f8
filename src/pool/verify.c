/* SPDX-License-Identifier: MIT */
/*
 * Holding the pool to its promises: every object is what its name says, every row has its objects,
 * every tree fits its segment. What is bad is reported, and with repair forgotten: everything in a
 * pool can be made again.
 */
#include "pool/crew.h"
#include "pool/object.h"
#include "pool/scan.h"

#include "base/fd.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

struct verifier {
	struct pool *pool;
	const struct pool_check *check;
	struct found_objects objects;
	struct index_refs refs;
	uint64_t problems;
	pthread_mutex_t lock; /* of progress and problems while objects are hashed */
	struct progress *progress;
	uint64_t done; /* bytes */
};

static void problem(void *data, const char *text)
{
	struct verifier *v = data;
	v->problems++;
	if (v->check->problem != NULL)
		v->check->problem(v->check->data, text);
}

/* Reports a failure that is what we were looking for; -1 for one that is not. */
static int problem_err(struct verifier *v, struct err *found, struct err *err)
{
	if (found->kind != ERR_CORRUPT && found->kind != ERR_NOT_FOUND && found->kind != ERR_IO) {
		*err = *found;
		return -1;
	}
	problem(v, found->msg);
	return 0;
}

static void tell(struct verifier *v, uint64_t bytes)
{
	pthread_mutex_lock(&v->lock);
	v->done += bytes;
	progress_update(v->progress, v->done, NULL);
	pthread_mutex_unlock(&v->lock);
}

static int hash_file(struct verifier *v, int fd, uint8_t *data, struct digest *ret,
	const char *name, struct err *err)
{
	struct sha256_ctx hash;
	sha256_init(&hash);
	size_t len;
	do {
		if (fd_read_full(fd, data, TREE_BLOCK_SIZE, name, &len, err) < 0)
			return -1;
		sha256_update(&hash, len, data);
		tell(v, len);
	} while (len == TREE_BLOCK_SIZE);
	*ret = digest_finish(&hash);
	return 0;
}

static int check_object(void *data, struct hand *hand, size_t i, struct err *err)
{
	struct verifier *v = data;
	struct found_object *object = &v->objects.items[i];
	char name[OBJECT_NAME_SIZE];
	AUTO_FREE char *path = pool_object_path(v->pool, &object->object, err);
	if (path == NULL)
		return -1;
	AUTO_FD int fd =
		openat(v->pool->fd, object_name(&object->object, name), O_RDONLY | O_CLOEXEC);
	struct err found = ERR_INIT;
	struct digest digest = {0};
	int r = fd >= 0 ? hash_file(v, fd, crew_scratch(hand)[0], &digest, path, &found)
			: err_sys(&found, "cannot open '%s'", path);
	if (r == 0 && !digest_equal(&digest, &object->object))
		r = err_raise(&found, ERR_CORRUPT, "'%s' is damaged", path);
	if (r == 0)
		return 0;
	object->bad = true;
	pthread_mutex_lock(&v->lock);
	r = problem_err(v, &found, err);
	pthread_mutex_unlock(&v->lock);
	return r;
}

static int check_objects(struct verifier *v, struct err *err)
{
	uint64_t total = 0;
	for (size_t i = 0; i < v->objects.len; i++)
		total += v->objects.items[i].size;
	struct crew_params params = {.level = 1, .jobs = v->check->jobs};
	if (params.jobs == 0)
		params.jobs = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	progress_begin(v->progress, "verify", total, "bytes");
	int r = crew_run(&params, v->objects.len, check_object, v, err);
	progress_end(v->progress);
	return r;
}

/* A store path of the index whose objects are there and whole. */
static int check_segment(struct verifier *v, const struct pool_segment *segment, struct err *err)
{
	AUTO_POOL_TREES trees = {0};
	if (pool_load_trees(v->pool, segment, 1, &trees, err) < 0)
		return -1;
	const struct tree *tree = &trees.items[0];
	char hex[DIGEST_HEX_SIZE];
	digest_hex(&segment->tree, hex);
	if (tree_check(tree, err) < 0)
		return err_prefix(err, "object '%s'", hex);
	if (tree->segment_size != segment->data_size)
		return err_raise(err, ERR_CORRUPT,
			"tree '%s' belongs to a segment of %llu bytes, the index says %llu", hex,
			(unsigned long long)tree->segment_size,
			(unsigned long long)segment->data_size);
	if (segment->data_size > 0 && !digest_equal(&tree->segment, &segment->data))
		return err_raise(err, ERR_CORRUPT,
			"tree '%s' belongs to another segment than the index says", hex);
	return 0;
}

/* Sizes as the index has them; the second object is the segment's data. */
static int check_sizes(
	const struct scan_row *row, const struct pool_segment *segment, struct err *err)
{
	char hex[DIGEST_HEX_SIZE];
	const uint64_t sizes[] = {segment->tree_size, segment->data_size};
	for (size_t i = 0; i < row->count; i++)
		if (row->objects[i]->size != sizes[i])
			return err_raise(err, ERR_CORRUPT,
				"object '%s' has %llu bytes, the index says %llu",
				digest_hex(row->names[i], hex),
				(unsigned long long)row->objects[i]->size,
				(unsigned long long)sizes[i]);
	return 0;
}

/* 1 when the row is good, 0 when it is not. */
static int check_row(struct verifier *v, const struct index_ref *ref, struct err *err)
{
	struct scan_row row = scan_row(&v->objects, ref);
	bool bad = false;
	for (size_t i = 0; i < row.count; i++) {
		bad = bad || row.objects[i] == NULL || row.objects[i]->bad;
		if (row.objects[i] != NULL)
			continue;
		char hex[DIGEST_HEX_SIZE];
		AUTO_FREE char *text =
			path_printf(err, "object '%s' is missing", digest_hex(row.names[i], hex));
		if (text == NULL)
			return -1;
		problem(v, text);
	}
	if (bad || ref->is_memo)
		return !bad;
	struct err found = ERR_INIT;
	if (check_sizes(&row, &ref->segment, &found) == 0 &&
		check_segment(v, &ref->segment, &found) == 0)
		return 1;
	return problem_err(v, &found, err);
}

static int check_rows(struct verifier *v, struct err *err)
{
	bool repair = v->check->repair;
	if (repair && index_begin_durable(v->pool->index, err) < 0)
		return -1;
	for (size_t i = 0; i < v->refs.len; i++) {
		int r = check_row(v, &v->refs.items[i], err);
		if (r == 0 && repair)
			r = index_drop(v->pool->index, &v->refs.items[i], err);
		if (r >= 0)
			continue;
		index_rollback(v->pool->index);
		return -1;
	}
	return repair ? index_commit(v->pool->index, err) : 0;
}

static int remove_bad(struct verifier *v, struct err *err)
{
	for (size_t i = 0; i < v->objects.len; i++) {
		char name[OBJECT_NAME_SIZE];
		object_name(&v->objects.items[i].object, name);
		if (v->objects.items[i].bad && unlinkat(v->pool->fd, name, 0) < 0 &&
			errno != ENOENT)
			return err_sys(err, "cannot remove '%s/%s'", v->pool->dir, name);
	}
	return 0;
}

static int verify(struct verifier *v, struct err *err)
{
	AUTO_FD int lock = -1;
	enum session_lock how = v->check->repair ? SESSION_LOCK_EXCLUSIVE : SESSION_LOCK_SHARED;
	if (!v->pool->read_only && session_lock(&v->pool->session, how, &lock, err) < 0)
		return -1;
	if (index_check(v->pool->index, err) < 0)
		return -1;
	if (index_list(v->pool->index, &v->refs, err) < 0 ||
		scan_objects(v->pool, &v->objects, problem, v, err) < 0)
		return -1;
	if (check_objects(v, err) < 0 || check_rows(v, err) < 0)
		return -1;
	return v->check->repair ? remove_bad(v, err) : 0;
}

int pool_verify(struct pool *pool, const struct pool_check *check, struct progress *progress,
	uint64_t *ret_problems, struct err *err)
{
	struct verifier v = {.pool = pool, .check = check, .progress = progress};
	pthread_mutex_init(&v.lock, NULL);
	int r = verify(&v, err);
	pthread_mutex_destroy(&v.lock);
	found_objects_done(&v.objects);
	index_refs_done(&v.refs);
	if (r == 0)
		*ret_problems = v.problems;
	return r;
}
