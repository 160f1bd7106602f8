/* SPDX-License-Identifier: MIT */
/*
 * A store path on the disk again, only as much of it as somebody looks at: all of its names and
 * links at once, which the tree has, and what files contain when it is asked for. A file without
 * its contents is empty and has no permissions, so that who reads it by mistake is seen.
 */
#include "pool/unpack.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE ((size_t)1 << 20)

struct laying {
	struct unpacker unpacker;
	struct buf path; /* of the entry, ending with a NUL that does not count */
	size_t root_len;
	bool shape;       /* names and links; else contents */
	const char *only; /* of this file below the root; NULL: of all */
	bool found;
	int fd; /* that is written */
};

static void laying_done(struct laying *l)
{
	unpacker_done(&l->unpacker);
	buf_done(&l->path);
	fd_close_ptr(&l->fd);
}

static int write_bytes(void *data, const void *bytes, size_t len, struct err *err)
{
	const struct laying *l = data;
	return fd_write_full(l->fd, bytes, len, (const char *)l->path.data, err);
}

/* In place of the empty one. */
static int fill(struct laying *l, const struct tree_entry *entry, struct err *err)
{
	const char *path = (const char *)l->path.data;
	const struct nar_sink sink = {write_bytes, l};
	l->found = true;
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(err, "cannot replace '%s'", path);
	l->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		entry->type == TREE_EXECUTABLE ? 0555 : 0444);
	if (l->fd < 0)
		return err_sys(err, "cannot create '%s'", path);
	l->unpacker.sink = &sink;
	int r = unpacker_contents(&l->unpacker, entry, err);
	l->unpacker.sink = NULL;
	fd_close_ptr(&l->fd);
	return r;
}

static int make(const struct laying *l, const struct tree_entry *entry, struct err *err)
{
	const char *path = (const char *)l->path.data;
	int r = 0;
	if (entry->type == TREE_DIRECTORY) {
		r = mkdir(path, 0755);
	} else if (entry->type == TREE_SYMLINK) {
		char target[TREE_TARGET_MAX + 1];
		memcpy(target, entry->target, entry->target_len);
		target[entry->target_len] = '\0';
		r = symlink(target, path);
	} else {
		r = mknod(path, S_IFREG, 0);
	}
	return r < 0 ? err_sys(err, "cannot create '%s'", path) : 0;
}

static bool is_wanted(const struct laying *l, const struct tree_entry *entry)
{
	if (entry->type != TREE_FILE && entry->type != TREE_EXECUTABLE)
		return false;
	const char *name = (const char *)l->path.data + l->root_len;
	return l->only == NULL || strcmp(name + (*name == '/'), l->only) == 0;
}

static int put_entry(struct laying *l, const struct tree_entry *entry, struct err *err)
{
	if (l->shape)
		return make(l, entry, err);
	return is_wanted(l, entry) ? fill(l, entry, err) : 0;
}

/* As deep as the tree, which was made from a NAR or from the disk and so is not deeper than they.
 */
static int put_directory(struct laying *l, size_t number, struct err *err)
{
	const struct directory *d = &l->unpacker.directories.items[number];
	size_t len = l->path.len;
	for (uint32_t i = 0; i < d->count; i++) {
		const struct place *place = &l->unpacker.places.items[d->first + i];
		l->path.len = len;
		if (buf_printf(&l->path, err, "/%.*s", (int)place->entry.name_len,
			    place->entry.name) < 0 ||
			buf_str(&l->path, err) == NULL || put_entry(l, &place->entry, err) < 0)
			return -1;
		if (place->entry.type == TREE_DIRECTORY &&
			put_directory(l, place->directory, err) < 0)
			return -1;
	}
	return 0;
}

/* The tree is checked when it is read; nothing else has looked at the data since it was written. */
static int check_data(const struct unpacker *u, const struct pool_segment *segment, struct err *err)
{
	AUTO_FREE uint8_t *piece = malloc(PIECE);
	struct sha256_ctx ctx;
	if (piece == NULL)
		return err_oom(err);
	sha256_init(&ctx);
	for (uint64_t off = 0; off < segment->data_size;) {
		size_t len;
		if (fd_pread_full(u->fd, piece, PIECE, off, u->name, &len, err) < 0)
			return -1;
		if (len == 0)
			break;
		sha256_update(&ctx, len, piece);
		off += len;
	}
	struct digest digest = digest_finish(&ctx);
	if (digest_equal(&digest, &segment->data))
		return 0;
	err_raise(err, ERR_CORRUPT, "object '%s' is damaged", u->name);
	return err_hint(err, "'snowboot pool verify --repair' removes what is damaged");
}

static int lay(struct laying *l, struct pool *pool, const struct pool_segment *segment,
	const char *to, struct err *err)
{
	AUTO_POOL_TREES trees = {0};
	if (unpacker_open(&l->unpacker, pool, segment, &trees, err) < 0 ||
		(!l->shape && segment->data_size > 0 &&
			check_data(&l->unpacker, segment, err) < 0) ||
		buf_put_str(&l->path, to, err) < 0 || buf_str(&l->path, err) == NULL)
		return -1;
	l->root_len = l->path.len;
	if (put_entry(l, &l->unpacker.root, err) < 0)
		return -1;
	/* The root's own directory is the last one. */
	size_t count = l->unpacker.directories.len;
	return l->unpacker.root.type == TREE_DIRECTORY && count > 0
		? put_directory(l, count - 1, err)
		: 0;
}

int pool_lay_out(
	struct pool *pool, const struct pool_segment *segment, const char *to, struct err *err)
{
	AUTO(laying_done)
	struct laying l = {.unpacker = UNPACKER_INIT, .fd = -1, .shape = true};
	return lay(&l, pool, segment, to, err);
}

int pool_fill_in(struct pool *pool, const struct pool_segment *segment, const char *to,
	const char *file, struct err *err)
{
	AUTO(laying_done)
	struct laying l = {.unpacker = UNPACKER_INIT, .fd = -1, .only = file};
	if (lay(&l, pool, segment, to, err) < 0)
		return -1;
	if (file != NULL && !l.found)
		return err_raise(err, ERR_NOT_FOUND, "there is no file '%s'", file);
	return 0;
}
