/* SPDX-License-Identifier: MIT */
/*
 * Which store paths are unpacked: the toplevel, everything that a link in it or its boot.json
 * names, but not what those link to in turn, or it would be the whole system. Only kernel, initrd,
 * modules and firmware may be farms of links whose ends are read; those are followed to their ends.
 */
#include "acquire/system_files.h"

#include "base/fd.h"
#include "base/path.h"
#include "nix/nar_restore.h"
#include "nix/store_path.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BOOT_JSON_MAX = 16 << 20 };

enum depth { DEPTH_NONE, DEPTH_SHALLOW, DEPTH_DEEP };

struct unpacking {
	struct pool *pool;
	const struct closure *closure;
	struct pool_segment *segments;
	const char *dir;
	uint8_t *wanted; /* item -> enum depth */
	uint8_t *done;   /* item -> enum depth that was followed */
	VEC(size_t) queue;
};

static void unpacking_done(struct unpacking *u)
{
	free(u->segments);
	free(u->wanted);
	free(u->done);
	vec_done(&u->queue);
}

/* The thread that writes a NAR, and the socket between it and the reader. */
struct writer {
	struct pool *pool;
	const struct pool_segment *segment;
	int fd;
	struct err err;
};

static int send_bytes(void *data, const void *bytes, size_t len, struct err *err)
{
	struct writer *writer = data;
	const uint8_t *at = bytes;
	while (len > 0) {
		ssize_t n = send(writer->fd, at, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			return err_sys(err, "cannot unpack");
		at += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static void *write_nar(void *arg)
{
	struct writer *writer = arg;
	const struct nar_sink sink = {send_bytes, writer};
	(void)pool_write_nar(writer->pool, writer->segment, &sink, &writer->err); /* told by err */
	(void)shutdown(writer->fd, SHUT_WR); /* the reader sees the end */
	return NULL;
}

static int receive_bytes(void *data, void *bytes, size_t max, size_t *ret_len, struct err *err)
{
	int *fd = data;
	ssize_t n;
	do
		n = recv(*fd, bytes, max, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(err, "cannot unpack");
	*ret_len = (size_t)n;
	return 0;
}

static int read_nar(int fd, const struct path_info *info, const char *to, struct err *err)
{
	const struct nar_input input = {receive_bytes, &fd};
	AUTO_NAR_READER *reader = NULL;
	uint64_t size;
	if (nar_reader_new(&input, info->nar_size, &reader, err) < 0 ||
		nar_restore(reader, to, err) < 0)
		return -1;
	struct digest digest = nar_reader_hash(reader, &size);
	if (!digest_equal(&digest, &info->nar_hash))
		return err_raise(err, ERR_CORRUPT, "its segment is damaged");
	return 0;
}

static int unpack(struct unpacking *u, size_t item, struct err *err)
{
	const struct path_info *info = &u->closure->items[item];
	ERR_SCOPE(err, "unpacking '%s'", info->path);
	int ends[2];
	pthread_t thread;
	AUTO_FREE char *to = path_printf(err, "%s/%s", u->dir, path_basename(info->path));
	if (to == NULL)
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return err_sys(err, "cannot create a socket");
	AUTO_FD int read_end = ends[0];
	AUTO_FD int write_end = ends[1];
	struct writer writer = {.pool = u->pool, .segment = &u->segments[item], .fd = write_end};
	int errnum = pthread_create(&thread, NULL, write_nar, &writer);
	if (errnum != 0)
		return err_errno(err, errnum, "cannot start a thread");
	int r = read_nar(read_end, info, to, err);
	fd_close_ptr(&read_end); /* a writer that is not done fails */
	pthread_join(thread, NULL);
	/* A damaged segment makes the NAR end too early: the cause is the better message. */
	if (r < 0 && !err_clean(&writer.err) && writer.err.kind != ERR_IO)
		*err = writer.err;
	return r;
}

/* What a link leads to, or text contains: wanted if it is in the closure. `text` may go on. */
static int want(struct unpacking *u, const char *text, enum depth depth, struct err *err)
{
	const char *store = u->closure->store_dir;
	size_t skip = strlen(store) + 1;
	if (strncmp(text, store, skip - 1) != 0 || text[skip - 1] != '/')
		return 0;
	for (size_t i = 0; i < u->closure->len; i++) {
		const char *path = u->closure->items[i].path;
		size_t len = strlen(path);
		if (strncmp(text, path, len) != 0 || strchr("/\"", text[len]) == NULL ||
			u->wanted[i] >= depth)
			continue;
		u->wanted[i] = (uint8_t)depth;
		return vec_push(&u->queue, i, err);
	}
	return 0;
}

/* How far to go behind a link of the toplevel. */
static enum depth depth_of(const char *name)
{
	static const char *const deep[] = {
		"kernel", "initrd", "kernel-modules", "firmware", "dtbs"};
	if (strcmp(name, "sw") == 0)
		return DEPTH_NONE;
	for (size_t i = 0; i < ARRAY_LEN(deep); i++)
		if (strcmp(name, deep[i]) == 0)
			return DEPTH_DEEP;
	return DEPTH_SHALLOW;
}

static int follow_link(struct unpacking *u, const FTSENT *entry, bool is_toplevel, struct err *err)
{
	char target[PATH_MAX + 1];
	ssize_t len = readlink(entry->fts_accpath, target, PATH_MAX);
	if (len < 0)
		return err_sys(err, "cannot read symlink '%s'", entry->fts_path);
	target[len] = '\0';
	enum depth depth = is_toplevel ? depth_of(entry->fts_name) : DEPTH_DEEP;
	return depth != DEPTH_NONE ? want(u, target, depth, err) : 0;
}

static void close_fts(FTS **fts)
{
	if (*fts != NULL)
		(void)fts_close(*fts);
}

static int follow_links(struct unpacking *u, size_t item, bool is_toplevel, struct err *err)
{
	AUTO_FREE char *path =
		path_printf(err, "%s/%s", u->dir, path_basename(u->closure->items[item].path));
	if (path == NULL)
		return -1;
	char *paths[] = {path, NULL};
	AUTO(close_fts) FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	if (fts == NULL)
		return err_sys(err, "cannot open '%s'", path);
	for (FTSENT *entry; (entry = fts_read(fts)) != NULL;)
		if (entry->fts_info == FTS_SL && follow_link(u, entry, is_toplevel, err) < 0)
			return -1;
	return 0;
}

/* Every store path that stands in boot.json. */
static int follow_boot_json(struct unpacking *u, const char *path, struct err *err)
{
	AUTO_BUF text = {0};
	struct err none = ERR_INIT;
	AUTO_FREE char *file = path_printf(err, "%s/%s/boot.json", u->dir, path_basename(path));
	if (file == NULL)
		return -1;
	/* An old system has none; what else is wrong with it, its reader tells. */
	if (fd_read_file(AT_FDCWD, file, BOOT_JSON_MAX, &text, &none) < 0)
		return 0;
	const char *at = buf_str(&text, err);
	if (at == NULL)
		return -1;
	while ((at = strstr(at, u->closure->store_dir)) != NULL) {
		if (want(u, at, DEPTH_SHALLOW, err) < 0)
			return -1;
		at++;
	}
	return 0;
}

static int unpack_all(struct unpacking *u, const char *path, struct err *err)
{
	if (want(u, path, DEPTH_SHALLOW, err) < 0)
		return -1;
	for (size_t i = 0; i < u->queue.len; i++) {
		size_t item = u->queue.items[i];
		bool is_toplevel = i == 0;
		if (u->done[item] == DEPTH_NONE && unpack(u, item, err) < 0)
			return -1;
		if (u->done[item] == DEPTH_DEEP)
			continue;
		u->done[item] = u->wanted[item];
		bool follow = is_toplevel || u->wanted[item] == DEPTH_DEEP;
		if (follow && follow_links(u, item, is_toplevel, err) < 0)
			return -1;
		if (is_toplevel && follow_boot_json(u, path, err) < 0)
			return -1;
	}
	return 0;
}

int system_files_unpack(struct pool *pool, const struct closure *closure,
	const struct pool_params *params, const char *path, const char *dir, struct err *err)
{
	AUTO(unpacking_done)
	struct unpacking u = {.pool = pool,
		.closure = closure,
		.dir = dir,
		.wanted = calloc(closure->len + 1, 1),
		.done = calloc(closure->len + 1, 1)};
	size_t missing;
	if (u.wanted == NULL || u.done == NULL)
		return err_oom(err);
	int found = pool_find_closure(pool, closure, params, &u.segments, &missing, err);
	if (found == 0)
		return err_raise(err, ERR_AGAIN, "'%s' was collected again at once",
			closure->items[missing].path);
	return found < 0 ? -1 : unpack_all(&u, path, err);
}
