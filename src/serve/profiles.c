/* SPDX-License-Identifier: MIT */
/*
 * A boot under way is a run, and becomes one of the reports of its system when it is up: in a storm
 * there are many that touched little as yet, which say nothing about what a whole boot touches.
 *
 * Reports and files hold digests of chunks, not places in a catalog: so what one system's boot
 * touched says something about every other system that shares the chunk, also after a restart, when
 * the catalog it was seen in is not served any more.
 */
#include "serve/profiles.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/outfile.h"
#include "base/path.h"
#include "serve/profile_merge.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file is this line and then digests. */
static const char head[] = "snowboot-touches 1\n";
#define HEAD_LEN (sizeof(head) - 1)

struct profile_run {
	TAILQ_ENTRY(profile_run) entry;
	struct profiles *profiles;
	struct digest catalog;
	struct node_id node;
	bool cut_off; /* nobody holds it */
	profile_touches touches;
};
TAILQ_HEAD(run_list, profile_run);

struct history {
	TAILQ_ENTRY(history) entry;
	struct digest catalog;
	profile_touches reports[PROFILE_REPORTS]; /* the latest first, none is empty */
	size_t count;
	bool dirty;             /* not saved */
	profile_touches merged; /* of the reports, if is_merged: in a storm many ask for the same */
	bool is_merged;
};
TAILQ_HEAD(history_list, history);

struct profiles {
	char *dir;
	struct history_list list; /* the one reported last first */
	size_t len;
	struct run_list runs;
	size_t runs_len;
};

static void history_free(struct history *h)
{
	for (size_t i = 0; i < h->count; i++)
		vec_done(&h->reports[i]);
	vec_done(&h->merged);
	free(h);
}

static struct history *find(const struct profiles *profiles, const struct digest *catalog)
{
	struct history *h;
	TAILQ_FOREACH(h, &profiles->list, entry)
		if (digest_equal(&h->catalog, catalog))
			return h;
	return NULL;
}

static char *file_of(const struct profiles *profiles, const struct digest *catalog, struct err *err)
{
	char hex[DIGEST_HEX_SIZE];
	return path_printf(err, "%s/%s", profiles->dir, digest_hex(catalog, hex));
}

static void forget(struct profiles *profiles, struct history *h)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *path = file_of(profiles, &h->catalog, &err);
	if (path != NULL)
		(void)unlink(path); /* it may never have been saved */
	TAILQ_REMOVE(&profiles->list, h, entry);
	profiles->len--;
	history_free(h);
}

static struct history *add(struct profiles *profiles, const struct digest *catalog, struct err *err)
{
	struct history *h = calloc(1, sizeof(*h));
	if (h == NULL) {
		err_oom(err);
		return NULL;
	}
	h->catalog = *catalog;
	TAILQ_INSERT_HEAD(&profiles->list, h, entry);
	if (++profiles->len > PROFILE_SYSTEMS)
		forget(profiles, TAILQ_LAST(&profiles->list, history_list));
	return h;
}

/* In front of those of earlier boots; a ninth one pushes the oldest out. */
static int add_report(struct profiles *profiles, const struct digest *catalog,
	profile_touches *take, struct err *err)
{
	struct history *h = find(profiles, catalog);
	if (h == NULL)
		h = add(profiles, catalog, err);
	if (h == NULL)
		return -1;
	if (h->count == PROFILE_REPORTS) {
		h->count--;
		vec_done(&h->reports[h->count]);
	}
	memmove(&h->reports[1], &h->reports[0], h->count * sizeof(*take));
	h->count++;
	h->reports[0] = *take;
	*take = (profile_touches){0};
	h->dirty = true;
	h->is_merged = false;
	TAILQ_REMOVE(&profiles->list, h, entry);
	TAILQ_INSERT_HEAD(&profiles->list, h, entry);
	return 0;
}

static void run_free(struct profile_run *run)
{
	TAILQ_REMOVE(&run->profiles->runs, run, entry);
	run->profiles->runs_len--;
	vec_done(&run->touches);
	free(run);
}

/* The first that was cut off: of this node, or (NULL) of any. */
static struct profile_run *find_cut_off(const struct profiles *profiles, const struct node_id *node)
{
	struct profile_run *run;
	TAILQ_FOREACH(run, &profiles->runs, entry)
		if (run->cut_off && (node == NULL || node_id_equal(&run->node, node)))
			return run;
	return NULL;
}

int profile_run_begin(struct profiles *profiles, const struct digest *catalog,
	const struct node_id *node, bool again, struct profile_run **ret, struct err *err)
{
	struct profile_run *run = find_cut_off(profiles, node);
	if (run != NULL && again && digest_equal(&run->catalog, catalog)) {
		run->cut_off = false;
		*ret = run;
		return 0;
	}
	if (run == NULL && profiles->runs_len == PROFILE_RUNS)
		run = find_cut_off(profiles, NULL);
	if (run != NULL)
		run_free(run);
	else if (profiles->runs_len == PROFILE_RUNS)
		return err_raise(err, ERR_LIMIT, "more than %d boots at a time", PROFILE_RUNS);
	run = calloc(1, sizeof(*run));
	if (run == NULL)
		return err_oom(err);
	run->profiles = profiles;
	run->catalog = *catalog;
	run->node = *node;
	TAILQ_INSERT_TAIL(&profiles->runs, run, entry);
	profiles->runs_len++;
	*ret = run;
	return 0;
}

int profile_run_touch(struct profile_run *run, const struct digest *chunk, struct err *err)
{
	if (run->touches.len >= PROFILE_ENTRIES_MAX)
		return 0;
	return vec_push(&run->touches, *chunk, err);
}

/* Not of one that joined in the middle: the origin was away, say. */
static bool is_whole(const struct profile_run *run)
{
	const struct history *h = find(run->profiles, &run->catalog);
	size_t most = 0;
	for (size_t i = 0; h != NULL && i < h->count; i++)
		most = h->reports[i].len > most ? h->reports[i].len : most;
	return run->touches.len > 0 && run->touches.len >= most / 2;
}

struct profile_run *profile_run_end(struct profile_run *run, bool up)
{
	struct err err = ERR_INIT;
	if (run == NULL)
		return NULL;
	if (up && is_whole(run) &&
		add_report(run->profiles, &run->catalog, &run->touches, &err) < 0)
		log_ignored(&err);
	if (up)
		run_free(run);
	else
		run->cut_off = true;
	return NULL;
}

/* Kept until there is another report; NULL is no memory. */
static const profile_touches *history_merged(struct history *h, struct err *err)
{
	profile_touches merged = {0};
	if (h->is_merged)
		return &h->merged;
	if (profile_merge(h->reports, h->count, &merged, err) < 0) {
		vec_done(&merged);
		return NULL;
	}
	vec_done(&h->merged);
	h->merged = merged;
	h->is_merged = true;
	return &h->merged;
}

/* The places of these chunks, as far as the set has them. */
static int locate(const profile_touches *order, const struct object_set *set, struct profile *ret,
	struct err *err)
{
	for (size_t i = 0; i < order->len; i++) {
		const struct chunk_place *place = object_set_chunk(set, &order->items[i]);
		if (place == NULL || place->member == UINT32_MAX)
			continue;
		const struct profile_entry entry = {place->member, place->index};
		if (vec_push(&ret->entries, entry, err) < 0)
			return -1;
	}
	return 0;
}

/* The same of a boot under way. */
static int locate_run(const profile_touches *order, const struct object_set *set,
	struct profile *ret, struct err *err)
{
	profile_touches once = {0};
	int r = profile_merge(order, 1, &once, err);
	if (r == 0)
		r = locate(&once, set, ret, err);
	vec_done(&once);
	return r;
}

/* The run that came farthest. */
static const profile_touches *foremost(
	const struct profiles *profiles, const struct digest *catalog)
{
	static const profile_touches none;
	const profile_touches *most = &none;
	const struct profile_run *run;
	TAILQ_FOREACH(run, &profiles->runs, entry)
		if (digest_equal(&run->catalog, catalog) && run->touches.len > most->len)
			most = &run->touches;
	return most;
}

int profiles_get(struct profiles *profiles, const struct digest *catalog,
	const struct object_set *set, struct profile *ret, struct err *err)
{
	AUTO_PROFILE profile = {.catalog = *catalog};
	struct history *own = find(profiles, catalog);
	struct history *h = own != NULL ? own : TAILQ_FIRST(&profiles->list);
	const profile_touches *merged = h != NULL ? history_merged(h, err) : NULL;
	if (h != NULL && (merged == NULL || locate(merged, set, &profile, err) < 0))
		return -1;
	const profile_touches *ahead = foremost(profiles, catalog);
	if (own == NULL && ahead->len > profile.entries.len) {
		profile.entries.len = 0;
		if (locate_run(ahead, set, &profile, err) < 0)
			return -1;
	}
	if (profile.entries.len == 0)
		return 0;
	*ret = profile;
	profile = (struct profile){0};
	return 1;
}

static int save(const struct profiles *profiles, struct history *h, struct err *err)
{
	AUTO_BUF bytes = {0};
	AUTO_FREE char *path = file_of(profiles, &h->catalog, err);
	const profile_touches *merged = path != NULL ? history_merged(h, err) : NULL;
	if (merged == NULL || buf_put(&bytes, head, HEAD_LEN, err) < 0)
		return -1;
	for (size_t i = 0; i < merged->len; i++)
		if (buf_put(&bytes, merged->items[i].bytes, DIGEST_SIZE, err) < 0)
			return -1;
	return outfile_write(path, bytes.data, bytes.len, err);
}

void profiles_save(struct profiles *profiles)
{
	struct history *h;
	TAILQ_FOREACH(h, &profiles->list, entry) {
		struct err err = ERR_INIT;
		if (!h->dirty)
			continue;
		if (save(profiles, h, &err) < 0)
			log_warning("cannot keep a boot profile: %s, ignoring", err.msg);
		else
			h->dirty = false;
	}
}

/* What was saved counts as one report. */
static int load(struct profiles *profiles, const char *name, struct err *err)
{
	AUTO_FREE char *path = path_printf(err, "%s/%s", profiles->dir, name);
	AUTO_BUF bytes = {0};
	struct digest catalog, chunk;
	if (path == NULL || !digest_from_hex(name, strlen(name), &catalog))
		return path == NULL ? -1 : 0;
	if (fd_read_file(AT_FDCWD, path, HEAD_LEN + DIGEST_SIZE * 8 * PROFILE_ENTRIES_MAX, &bytes,
		    err) < 0)
		return -1;
	size_t count = bytes.len < HEAD_LEN ? 0 : (bytes.len - HEAD_LEN) / DIGEST_SIZE;
	if (count == 0 || bytes.len != HEAD_LEN + count * DIGEST_SIZE ||
		memcmp(bytes.data, head, HEAD_LEN) != 0)
		return err_raise(err, ERR_CORRUPT, "'%s' is no list of touches", path);
	profile_touches report = {0};
	int r = 0;
	for (size_t i = 0; i < count && r == 0; i++) {
		memcpy(chunk.bytes, bytes.data + HEAD_LEN + i * DIGEST_SIZE, DIGEST_SIZE);
		r = vec_push(&report, chunk, err);
	}
	if (r == 0)
		r = add_report(profiles, &catalog, &report, err);
	vec_done(&report);
	if (r == 0)
		find(profiles, &catalog)->dirty = false;
	return r;
}

struct saved {
	char *name;
	struct timespec time;
};

static int compare_saved(const void *a, const void *b)
{
	const struct timespec *x = &((const struct saved *)a)->time;
	const struct timespec *y = &((const struct saved *)b)->time;
	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? -1 : 1;
	return x->tv_nsec < y->tv_nsec ? -1 : x->tv_nsec > y->tv_nsec;
}

/* Oldest first, so that the latest comes to stand first in the list. */
static int load_all(struct profiles *profiles, struct err *err)
{
	VEC(struct saved) files = {0};
	AUTO_DIR *dir = fd_opendir(AT_FDCWD, profiles->dir);
	if (dir == NULL)
		return err_sys(err, "cannot open '%s'", profiles->dir);
	int r = 0;
	for (struct dirent *e; r == 0 && (e = readdir(dir)) != NULL;) {
		struct stat st;
		if (fstatat(dirfd(dir), e->d_name, &st, 0) < 0 || !S_ISREG(st.st_mode))
			continue;
		const struct saved file = {strdup(e->d_name), st.st_mtim};
		r = file.name == NULL ? err_oom(err) : vec_push(&files, file, err);
	}
	if (files.len > 0)
		qsort(files.items, files.len, sizeof(files.items[0]), compare_saved);
	VEC_FOREACH(file, &files) {
		struct err tolerated = ERR_INIT;
		if (r == 0 && load(profiles, file->name, &tolerated) < 0)
			log_ignored(&tolerated);
		free(file->name);
	}
	vec_done(&files);
	return r;
}

int profiles_open(const char *dir, struct profiles **ret, struct err *err)
{
	if (path_mkdirs(dir, err) < 0)
		return -1;
	struct profiles *profiles = calloc(1, sizeof(*profiles));
	if (profiles == NULL)
		return err_oom(err);
	TAILQ_INIT(&profiles->list);
	TAILQ_INIT(&profiles->runs);
	profiles->dir = strdup(dir);
	int r = profiles->dir == NULL ? err_oom(err) : load_all(profiles, err);
	if (r < 0)
		profiles_close(profiles);
	else
		*ret = profiles;
	return r;
}

struct profiles *profiles_close(struct profiles *profiles)
{
	if (profiles == NULL)
		return NULL;
	profiles_save(profiles);
	for (struct profile_run *run; (run = TAILQ_FIRST(&profiles->runs)) != NULL;)
		run_free(run);
	for (struct history *h; (h = TAILQ_FIRST(&profiles->list)) != NULL;) {
		TAILQ_REMOVE(&profiles->list, h, entry);
		history_free(h);
	}
	free(profiles->dir);
	free(profiles);
	return NULL;
}
