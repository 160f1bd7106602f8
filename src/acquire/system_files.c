/* SPDX-License-Identifier: MIT */
/*
 * Names and links of a store path come when somebody looks into it, contents when a file is read.
 * Kernel modules and firmware may be farms of links, which are followed to their ends: that is
 * asked for only when an initramfs is made of them.
 */
#include "acquire/system_files.h"

#include "base/path.h"

#include <errno.h>
#include <fts.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum progress_of_path { PATH_ABSENT, PATH_NAMED, PATH_WHOLE };

struct system_files {
	struct pool *pool;
	struct closure closure; /* its items are borrowed */
	struct pool_params params;
	struct system_files_source source;
	bool has_source;
	char *scratch, *dir; /* of the pool; and of the store in it */
	uint8_t *state;      /* item -> enum progress_of_path */
	struct store_supply supply;
};

struct system_files *system_files_free(struct system_files *f)
{
	if (f == NULL)
		return NULL;
	free(f->scratch);
	free(f->dir);
	free(f->state);
	free(f);
	return NULL;
}

void system_files_remove(struct system_files *f)
{
	if (f == NULL)
		return;
	pool_scratch_remove(f->pool, f->scratch);
}

const char *system_files_dir(const struct system_files *f)
{
	return f->dir;
}

const struct store_supply *system_files_supply(const struct system_files *f)
{
	return f != NULL ? &f->supply : NULL;
}

/* The item whose store path this is, or lies in: 1 and *ret_name, what stands behind it; or 0. */
static int find(const struct system_files *f, const char *path, size_t *ret, const char **ret_name)
{
	for (size_t i = 0; i < f->closure.len; i++) {
		const char *item = f->closure.items[i].path;
		size_t len = strlen(item);
		if (strncmp(path, item, len) != 0 || (path[len] != '/' && path[len] != '\0'))
			continue;
		*ret = i;
		*ret_name = path + len + strspn(path + len, "/");
		return 1;
	}
	return 0;
}

static char *place_of(const struct system_files *f, size_t item, struct err *err)
{
	return path_printf(err, "%s/%s", f->dir, path_basename(f->closure.items[item].path));
}

static int find_segment(
	const struct system_files *f, size_t item, struct pool_segment *ret, struct err *err)
{
	const struct path_info *info = &f->closure.items[item];
	int found = pool_find(f->pool, &info->nar_hash, &f->params, ret, err);
	if (found == 0 && f->has_source) {
		if (f->source.fetch(f->source.data, item, err) < 0)
			return -1;
		found = pool_find(f->pool, &info->nar_hash, &f->params, ret, err);
	}
	if (found == 0)
		return err_raise(err, ERR_AGAIN, "'%s' was collected from the pool", info->path);
	return found < 0 ? -1 : 0;
}

static int bring_names(struct system_files *f, size_t item, struct err *err)
{
	struct pool_segment segment;
	if (f->state[item] >= PATH_NAMED)
		return 0;
	AUTO_FREE char *to = place_of(f, item, err);
	if (to == NULL || find_segment(f, item, &segment, err) < 0 ||
		pool_lay_out(f->pool, &segment, to, err) < 0)
		return -1;
	f->state[item] = PATH_NAMED;
	return 0;
}

/* False for what has its contents, or will never have any. */
static bool is_empty(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0777) == 0;
}

static int bring_file(struct system_files *f, size_t item, const char *name, struct err *err)
{
	struct pool_segment segment;
	AUTO_FREE char *to = place_of(f, item, err);
	AUTO_FREE char *file = to != NULL
		? path_printf(err, "%s%s%s", to, name[0] != '\0' ? "/" : "", name)
		: NULL;
	if (file == NULL)
		return -1;
	if (!is_empty(file))
		return 0;
	return find_segment(f, item, &segment, err) < 0
		? -1
		: pool_fill_in(f->pool, &segment, to, name, err);
}

typedef VEC(size_t) item_queue;

/* The store path that a link leads to is next. */
static int follow_link(
	const struct system_files *f, const FTSENT *entry, item_queue *queue, struct err *err)
{
	char target[PATH_MAX + 1];
	const char *name;
	size_t item;
	ssize_t len = readlink(entry->fts_accpath, target, PATH_MAX);
	if (len < 0)
		return err_sys(err, "cannot read symlink '%s'", entry->fts_path);
	target[len] = '\0';
	if (!find(f, target, &item, &name) || f->state[item] == PATH_WHOLE)
		return 0;
	return vec_push(queue, item, err);
}

static void close_fts(FTS **fts)
{
	if (*fts != NULL)
		(void)fts_close(*fts); /* it was only read */
}

static int follow_links(
	const struct system_files *f, char *path, item_queue *queue, struct err *err)
{
	char *paths[] = {path, NULL};
	AUTO(close_fts) FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	if (fts == NULL)
		return err_sys(err, "cannot open '%s'", path);
	for (FTSENT *entry; (entry = fts_read(fts)) != NULL;)
		if (entry->fts_info == FTS_SL && follow_link(f, entry, queue, err) < 0)
			return -1;
	return 0;
}

static int bring_whole(struct system_files *f, size_t item, item_queue *queue, struct err *err)
{
	struct pool_segment segment;
	if (f->state[item] == PATH_WHOLE)
		return 0;
	AUTO_FREE char *to = place_of(f, item, err);
	if (to == NULL || bring_names(f, item, err) < 0 ||
		find_segment(f, item, &segment, err) < 0 ||
		pool_fill_in(f->pool, &segment, to, NULL, err) < 0)
		return -1;
	f->state[item] = PATH_WHOLE;
	return follow_links(f, to, queue, err);
}

static int bring_all(struct system_files *f, size_t item, struct err *err)
{
	item_queue queue = {0};
	int r = vec_push(&queue, item, err);
	for (size_t i = 0; i < queue.len && r == 0; i++)
		r = bring_whole(f, queue.items[i], &queue, err);
	vec_done(&queue);
	return r;
}

static int bring(void *data, const char *path, enum bring what, struct err *err)
{
	struct system_files *f = data;
	const char *name;
	size_t item;
	if (!find(f, path, &item, &name))
		return 0;
	ERR_SCOPE(err, "unpacking '%s'", f->closure.items[item].path);
	switch (what) {
	case BRING_NAMES:
		return bring_names(f, item, err);
	case BRING_FILE:
		return bring_names(f, item, err) < 0 ? -1 : bring_file(f, item, name, err);
	case BRING_ALL:
		return bring_all(f, item, err);
	}
	return 0;
}

int system_files_new(struct pool *pool, const struct closure *closure,
	const struct pool_params *params, const struct system_files_source *source,
	struct system_files **ret, struct err *err)
{
	struct system_files *f = calloc(1, sizeof(*f));
	if (f == NULL)
		return err_oom(err);
	*f = (struct system_files){.pool = pool,
		.closure = *closure,
		.params = *params,
		.has_source = source != NULL,
		.state = calloc(closure->len + 1, 1)};
	f->supply = (struct store_supply){bring, f};
	if (source != NULL)
		f->source = *source;
	int r = f->state != NULL ? pool_scratch(pool, &f->scratch, err) : err_oom(err);
	if (r == 0)
		f->dir = path_printf(err, "%s%s", f->scratch, closure->store_dir);
	if (f->dir == NULL || path_mkdirs(f->dir, err) < 0) {
		system_files_free(f);
		return -1;
	}
	*ret = f;
	return 0;
}
