/* SPDX-License-Identifier: MIT */
/*
 * Objects on the disk. Many at once are made durable by syncfs(), which costs the same for two
 * thousand files as for two; a single one by fsync(). syncfs() reports failed writes from Linux 5.8
 * on.
 */
#include "pool/object.h"

#include "base/fd.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FEW 4 /* up to so many, fsync() each */

char *object_name(const struct digest *object, char out[OBJECT_NAME_SIZE])
{
	char hex[DIGEST_HEX_SIZE];
	digest_hex(object, hex);
	snprintf(out, OBJECT_NAME_SIZE, "objects/%.2s/%s", hex, hex);
	return out;
}

char *pool_object_path(const struct pool *pool, const struct digest *object, struct err *err)
{
	char name[OBJECT_NAME_SIZE];
	return path_printf(err, "%s/%s", pool->dir, object_name(object, name));
}

int object_missing(const struct pool *pool, const struct digest *object, struct err *err)
{
	char hex[DIGEST_HEX_SIZE];
	err_raise(err, ERR_NOT_FOUND, "pool '%s' has no object '%s'", pool->dir,
		digest_hex(object, hex));
	return err_hint(
		err, "'snowboot pool verify --repair' forgets what is lost, and it is made again");
}

int object_size(
	const struct pool *pool, const struct digest *object, uint64_t *ret, struct err *err)
{
	char name[OBJECT_NAME_SIZE];
	struct stat st;
	if (fstatat(pool->fd, object_name(object, name), &st, 0) < 0) {
		if (errno == ENOENT)
			return object_missing(pool, object, err);
		return err_sys(err, "cannot read '%s/%s'", pool->dir, name);
	}
	*ret = (uint64_t)st.st_size;
	return 0;
}

int object_exists(const struct pool *pool, const struct digest *object, struct err *err)
{
	char name[OBJECT_NAME_SIZE];
	if (faccessat(pool->fd, object_name(object, name), F_OK, 0) == 0)
		return 1;
	if (errno == ENOENT)
		return 0;
	return err_sys(err, "cannot read '%s/%s'", pool->dir, name);
}

void pending_done(const struct pool *pool, struct pending *pending)
{
	if (pending->temp != NULL)
		(void)unlinkat(pool->fd, pending->temp, 0);
	free(TAKE_PTR(pending->temp));
}

int pending_write(
	struct pool *pool, const void *data, size_t size, struct pending *ret, struct err *err)
{
	struct pending pending = {.object = digest_of(data, size)};
	AUTO_FD int fd = -1;
	if (session_temp(&pool->session, &pending.temp, &fd, err) < 0)
		return -1;
	if (fd_write_full(fd, data, size, pool->dir, err) < 0) {
		pending_done(pool, &pending);
		return -1;
	}
	*ret = pending;
	return 0;
}

static int sync_file(const struct pool *pool, const char *name, struct err *err)
{
	AUTO_FD int fd = openat(pool->fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return err_sys(err, "cannot write '%s/%s'", pool->dir, name);
	return 0;
}

static int sync_all(const struct pool *pool, struct err *err)
{
	if (syncfs(pool->fd) < 0)
		return err_sys(err, "cannot write pool '%s'", pool->dir);
	return 0;
}

static int rename_one(const struct pool *pool, struct pending *pending, struct err *err)
{
	char name[OBJECT_NAME_SIZE];
	object_name(&pending->object, name);
	int r = renameat(pool->fd, pending->temp, pool->fd, name);
	if (r < 0 && errno == ENOENT) {
		char *slash = strrchr(name, '/');
		*slash = '\0';
		(void)mkdirat(pool->fd, name, 0777);
		*slash = '/';
		r = renameat(pool->fd, pending->temp, pool->fd, name);
	}
	if (r < 0)
		return err_sys(err, "cannot rename to '%s/%s'", pool->dir, name);
	free(TAKE_PTR(pending->temp));
	return 0;
}

static int appear_few(struct pool *pool, struct pending *items, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		char name[OBJECT_NAME_SIZE];
		if (items[i].temp == NULL)
			continue;
		if (sync_file(pool, items[i].temp, err) < 0 || rename_one(pool, &items[i], err) < 0)
			return -1;
		object_name(&items[i].object, name);
		*strrchr(name, '/') = '\0';
		if (sync_file(pool, name, err) < 0)
			return -1;
	}
	/* The directory of a first object may be new itself. */
	return sync_file(pool, "objects", err);
}

int object_appear(struct pool *pool, struct pending *items, size_t count, struct err *err)
{
	if (count <= FEW)
		return appear_few(pool, items, count, err);
	if (sync_all(pool, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (items[i].temp != NULL && rename_one(pool, &items[i], err) < 0)
			return -1;
	return sync_all(pool, err);
}

/* What would be written, if it is there already. */
static int find_made(
	const struct pool *pool, const struct digest *object, struct digest *ret, struct err *err)
{
	char hex[DIGEST_HEX_SIZE];
	int exists = object_exists(pool, object, err);
	if (exists < 0)
		return -1;
	*ret = *object;
	if (exists == 1)
		return 0;
	err_raise(err, ERR_NOT_FOUND, "pool '%s', which is only read, lacks object '%s'", pool->dir,
		digest_hex(object, hex));
	return err_hint(err, "whoever may write to it makes what is missing, in the same way");
}

int pool_put(struct pool *pool, const void *data, size_t size, struct digest *ret, struct err *err)
{
	struct digest object = digest_of(data, size);
	if (pool->read_only)
		return find_made(pool, &object, ret, err);
	if (session_begin(&pool->session, err) < 0)
		return -1;
	AUTO_FD int lock = -1;
	if (session_lock(&pool->session, SESSION_LOCK_SHARED, &lock, err) < 0)
		return -1;
	int exists = object_exists(pool, &object, err);
	if (exists < 0 || session_pin(&pool->session, &object, 1, err) < 0)
		return -1;
	if (exists == 0) {
		struct pending pending;
		if (pending_write(pool, data, size, &pending, err) < 0)
			return -1;
		int r = object_appear(pool, &pending, 1, err);
		pending_done(pool, &pending);
		if (r < 0)
			return -1;
	}
	*ret = object;
	return 0;
}

/* Reads `size` bytes of an object, which must be all it has, and holds them to its name. */
static int read_object(const struct pool *pool, const struct digest *object, uint8_t *data,
	uint64_t size, struct err *err)
{
	char name[OBJECT_NAME_SIZE];
	AUTO_FD int fd = openat(pool->fd, object_name(object, name), O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return object_missing(pool, object, err);
	if (fd < 0)
		return err_sys(err, "cannot open '%s/%s'", pool->dir, name);
	size_t len;
	if (fd_read_full(fd, data, size, name, &len, err) < 0)
		return err_prefix(err, "pool '%s'", pool->dir);
	struct digest found = digest_of(data, len);
	if (len == size && digest_equal(&found, object))
		return 0;
	err_raise(err, ERR_CORRUPT, "'%s/%s' is damaged", pool->dir, name);
	return err_hint(err, "'snowboot pool verify --repair' removes it, and it is made again");
}

int pool_get(struct pool *pool, const struct digest *object, struct buf *out, struct err *err)
{
	uint64_t size;
	if (object_size(pool, object, &size, err) < 0)
		return -1;
	uint8_t *data = buf_reserve(out, size, err);
	if (data == NULL)
		return -1;
	if (read_object(pool, object, data, size, err) < 0)
		return -1;
	out->len += size;
	return 0;
}

void pool_trees_done(struct pool_trees *trees)
{
	buf_done(&trees->bytes);
	free(TAKE_PTR(trees->items));
	trees->len = 0;
}

static int load_tree(struct pool *pool, const struct pool_segment *segment, uint8_t *data,
	struct tree *ret, struct err *err)
{
	if (read_object(pool, &segment->tree, data, segment->tree_size, err) < 0)
		return -1;
	if (tree_open(data, segment->tree_size, ret, err) == 0)
		return 0;
	char hex[DIGEST_HEX_SIZE];
	return err_prefix(err, "object '%s'", digest_hex(&segment->tree, hex));
}

int pool_load_trees(struct pool *pool, const struct pool_segment *segments, size_t count,
	struct pool_trees *ret, struct err *err)
{
	AUTO_POOL_TREES trees = {.bytes.max = SIZE_MAX / 2};
	uint64_t total = 0;
	for (size_t i = 0; i < count; i++)
		if (!mem_add(total, segments[i].tree_size, &total) || total > SIZE_MAX / 2)
			return err_raise(
				err, ERR_CORRUPT, "index of '%s' has impossible sizes", pool->dir);
	trees.items = calloc(count + 1, sizeof(*trees.items));
	if (trees.items == NULL)
		return err_oom(err);
	/* Reserved as a whole, so that the bytes stay where the first tree saw them. */
	if (buf_reserve(&trees.bytes, (size_t)total, err) == NULL)
		return -1;
	for (; trees.len < count; trees.len++) {
		uint8_t *data = trees.bytes.data + trees.bytes.len;
		const struct pool_segment *segment = &segments[trees.len];
		if (load_tree(pool, segment, data, &trees.items[trees.len], err) < 0)
			return -1;
		trees.bytes.len += (size_t)segment->tree_size;
	}
	*ret = trees;
	trees = (struct pool_trees){0};
	return 0;
}
