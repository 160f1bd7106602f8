/* SPDX-License-Identifier: MIT */
/*
 * Reports and files hold digests of chunks, not places in a catalog: so what one system's boot
 * touched says something about every other system that shares the chunk, also after a restart, when
 * the catalog it was seen in is not served any more.
 */
#include "serve/profiles.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/outfile.h"
#include "base/path.h"

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

struct report {
	struct node_id node;
	VEC(struct digest) chunks; /* in order */
};

struct history {
	TAILQ_ENTRY(history) entry;
	struct digest catalog;
	struct report reports[PROFILE_REPORTS]; /* the latest begun first */
	size_t count;
	bool dirty; /* not saved */
};
TAILQ_HEAD(history_list, history);

struct profiles {
	char *dir;
	struct history_list list; /* the one reported last first */
	size_t len;
};

static void history_free(struct history *h)
{
	for (size_t i = 0; i < h->count; i++)
		vec_done(&h->reports[i].chunks);
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

/* In front of those of earlier boots, also of the same machine: what it touched then is what it
 * will touch now. A ninth one pushes the oldest out. */
static struct report *begin_report(struct history *h, const struct node_id *node)
{
	struct report report = {.node = *node};
	if (h->count == PROFILE_REPORTS) {
		h->count--;
		vec_done(&h->reports[h->count].chunks);
	}
	size_t at = h->count++;
	memmove(&h->reports[1], &h->reports[0], at * sizeof(report));
	h->reports[0] = report;
	return &h->reports[0];
}

int profiles_begin(struct profiles *profiles, const struct digest *catalog,
	const struct node_id *node, bool again, struct err *err)
{
	struct history *h = find(profiles, catalog);
	if (h == NULL)
		h = add(profiles, catalog, err);
	if (h == NULL)
		return -1;
	/* Who touched nothing yet changes nothing: a node that joins again and again would else
	 * push out what others reported. */
	for (size_t i = 0; i < h->count; i++)
		if (node_id_equal(&h->reports[i].node, node) &&
			(again || h->reports[i].chunks.len == 0))
			return 0;
	(void)begin_report(h, node);
	return 0;
}

int profiles_touch(struct profiles *profiles, const struct digest *catalog,
	const struct node_id *node, const struct digest *chunk, struct err *err)
{
	struct history *h = find(profiles, catalog);
	for (size_t i = 0; h != NULL && i < h->count; i++) {
		struct report *report = &h->reports[i];
		if (!node_id_equal(&report->node, node))
			continue;
		if (report->chunks.len >= PROFILE_ENTRIES_MAX)
			return 0;
		if (vec_push(&report->chunks, *chunk, err) < 0)
			return -1;
		h->dirty = true;
		TAILQ_REMOVE(&profiles->list, h, entry);
		TAILQ_INSERT_HEAD(&profiles->list, h, entry);
		return 0; /* those behind it are of earlier boots */
	}
	return 0;
}

/* One touch of one report, for the merge. */
struct mention {
	struct digest chunk;
	uint32_t report, place;
};

/* A chunk and where the reports see it. */
struct merged {
	struct digest chunk;
	uint32_t median;
};

static int compare_mentions(const void *a, const void *b)
{
	const struct mention *x = a, *y = b;
	int r = digest_compare(&x->chunk, &y->chunk);
	if (r != 0)
		return r;
	if (x->report != y->report)
		return x->report < y->report ? -1 : 1;
	return x->place < y->place ? -1 : x->place > y->place;
}

static int compare_merged(const void *a, const void *b)
{
	const struct merged *x = a, *y = b;
	if (x->median != y->median)
		return x->median < y->median ? -1 : 1;
	return digest_compare(&x->chunk, &y->chunk);
}

static int compare_places(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

typedef VEC(struct merged) merged_list;

/* All mentions of one chunk: its median place, unless most reports do without it. */
static int merge_one(const struct mention *first, const struct mention *end, size_t reports,
	merged_list *out, struct err *err)
{
	uint32_t places[PROFILE_REPORTS];
	size_t count = 0;
	for (const struct mention *m = first; m < end; m++)
		if (m == first || m->report != m[-1].report) /* twice in one report: the first */
			places[count++] = m->place;
	if (reports >= 3 && 2 * count < reports)
		return 0;
	qsort(places, count, sizeof(places[0]), compare_places);
	const struct merged merged = {.chunk = first->chunk, .median = places[(count - 1) / 2]};
	return vec_push(out, merged, err);
}

static int merge(const struct history *h, merged_list *out, struct err *err)
{
	VEC(struct mention) mentions = {0};
	size_t reports = 0;
	int r = 0;
	for (size_t i = 0; i < h->count; i++) {
		const struct report *report = &h->reports[i];
		reports += report->chunks.len > 0;
		for (size_t n = 0; n < report->chunks.len && r == 0; n++) {
			const struct mention m = {
				report->chunks.items[n], (uint32_t)i, (uint32_t)n};
			r = vec_push(&mentions, m, err);
		}
	}
	if (mentions.len > 0)
		qsort(mentions.items, mentions.len, sizeof(mentions.items[0]), compare_mentions);
	const struct mention *end = mentions.items + mentions.len;
	for (const struct mention *m = mentions.items, *next; m < end && r == 0; m = next) {
		next = m + 1;
		while (next < end && digest_equal(&next->chunk, &m->chunk))
			next++;
		r = merge_one(m, next, reports, out, err);
	}
	vec_done(&mentions);
	if (out->len > 0)
		qsort(out->items, out->len, sizeof(out->items[0]), compare_merged);
	return r;
}

static bool has_touches(const struct history *h)
{
	for (size_t i = 0; i < h->count; i++)
		if (h->reports[i].chunks.len > 0)
			return true;
	return false;
}

int profiles_get(struct profiles *profiles, const struct digest *catalog,
	const struct object_set *set, struct profile *ret, struct err *err)
{
	struct history *h = find(profiles, catalog), *other;
	bool inherited = h == NULL || !has_touches(h);
	TAILQ_FOREACH(other, &profiles->list, entry) {
		if (!inherited || !has_touches(other))
			continue;
		h = other;
		break;
	}
	if (h == NULL || !has_touches(h))
		return 0;
	merged_list merged = {0};
	AUTO_PROFILE profile = {.catalog = *catalog};
	int r = merge(h, &merged, err);
	for (size_t i = 0; i < merged.len && r == 0; i++) {
		const struct chunk_place *place = object_set_chunk(set, &merged.items[i].chunk);
		if (place == NULL || place->member == UINT32_MAX)
			continue;
		const struct profile_entry entry = {place->member, place->index};
		r = vec_push(&profile.entries, entry, err);
	}
	vec_done(&merged);
	if (r < 0)
		return -1;
	if (profile.entries.len == 0)
		return 0;
	*ret = profile;
	profile = (struct profile){0};
	return 1;
}

static int save(const struct profiles *profiles, const struct history *h, struct err *err)
{
	merged_list merged = {0};
	AUTO_BUF bytes = {0};
	AUTO_FREE char *path = file_of(profiles, &h->catalog, err);
	int r = path == NULL ? -1 : merge(h, &merged, err);
	if (r == 0)
		r = buf_put(&bytes, head, HEAD_LEN, err);
	for (size_t i = 0; i < merged.len && r == 0; i++)
		r = buf_put(&bytes, merged.items[i].chunk.bytes, DIGEST_SIZE, err);
	vec_done(&merged);
	return r < 0 ? -1 : outfile_write(path, bytes.data, bytes.len, err);
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

/* What was saved counts as one report, of nobody. */
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
	if (bytes.len != HEAD_LEN + count * DIGEST_SIZE || memcmp(bytes.data, head, HEAD_LEN) != 0)
		return err_raise(err, ERR_CORRUPT, "'%s' is no list of touches", path);
	const struct node_id nobody = {0};
	if (profiles_begin(profiles, &catalog, &nobody, false, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		memcpy(chunk.bytes, bytes.data + HEAD_LEN + i * DIGEST_SIZE, DIGEST_SIZE);
		if (profiles_touch(profiles, &catalog, &nobody, &chunk, err) < 0)
			return -1;
	}
	struct history *h = find(profiles, &catalog);
	if (h != NULL)
		h->dirty = false;
	return 0;
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
	for (struct history *h; (h = TAILQ_FIRST(&profiles->list)) != NULL;) {
		TAILQ_REMOVE(&profiles->list, h, entry);
		history_free(h);
	}
	free(profiles->dir);
	free(profiles);
	return NULL;
}
