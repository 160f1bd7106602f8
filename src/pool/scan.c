/* SPDX-License-Identifier: MIT */
/* The objects on the disk beside the rows of the index, for those who look after the whole pool. */
#include "pool/scan.h"

#include "base/fd.h"
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void found_objects_done(struct found_objects *objects)
{
	vec_done(objects);
}

static int compare(const void *a, const void *b)
{
	return digest_compare(&((const struct found_object *)a)->object,
		&((const struct found_object *)b)->object);
}

struct scan {
	const struct pool *pool;
	struct found_objects *objects;
	pool_problem_fn *stray;
	void *data;
};

static int tell_stray(const struct scan *scan, const char *dir, const char *name, struct err *err)
{
	if (scan->stray == NULL)
		return 0;
	AUTO_FREE char *text =
		path_printf(err, "'%s/%s/%s' is no object", scan->pool->dir, dir, name);
	if (text == NULL)
		return -1;
	scan->stray(scan->data, text);
	return 0;
}

/* Takes entry `name` of the directory `dir`, "objects/ab". */
static int take(const struct scan *scan, int fd, const char *dir, const char *name, struct err *err)
{
	struct found_object found = {0};
	struct stat st;
	bool is_name = digest_from_hex(name, strlen(name), &found.object) &&
		strncmp(name, dir + strlen("objects/"), 2) == 0;
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT
			? 0
			: err_sys(err, "cannot read '%s/%s/%s'", scan->pool->dir, dir, name);
	if (!is_name || !S_ISREG(st.st_mode))
		return tell_stray(scan, dir, name, err);
	found.size = (uint64_t)st.st_size;
	return vec_push(scan->objects, found, err);
}

/* Goes through a directory: objects/ calls itself for each of its own. */
static int scan_directory(const struct scan *scan, const char *dir, bool is_top, struct err *err)
{
	AUTO_DIR *entries = fd_opendir(scan->pool->fd, dir);
	if (entries == NULL)
		return err_sys(err, "cannot open '%s/%s'", scan->pool->dir, dir);
	struct dirent *entry;
	while ((entry = readdir(entries)) != NULL) {
		const char *name = entry->d_name;
		int r;
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (is_top && strlen(name) == 2) {
			AUTO_FREE char *sub = path_printf(err, "%s/%s", dir, name);
			r = sub != NULL ? scan_directory(scan, sub, false, err) : -1;
		} else {
			r = is_top ? tell_stray(scan, dir, name, err)
				   : take(scan, dirfd(entries), dir, name, err);
		}
		if (r < 0)
			return -1;
	}
	return 0;
}

int scan_objects(const struct pool *pool, struct found_objects *ret, pool_problem_fn *stray,
	void *data, struct err *err)
{
	AUTO_FOUND_OBJECTS objects = {0};
	struct scan scan = {.pool = pool, .objects = &objects, .stray = stray, .data = data};
	if (scan_directory(&scan, "objects", true, err) < 0)
		return -1;
	if (objects.len > 0)
		qsort(objects.items, objects.len, sizeof(*objects.items), compare);
	*ret = objects;
	objects = (struct found_objects){0};
	return 0;
}

struct found_object *scan_find(const struct found_objects *objects, const struct digest *object)
{
	struct found_object key = {.object = *object};
	if (objects->len == 0)
		return NULL;
	return bsearch(&key, objects->items, objects->len, sizeof(key), compare);
}

struct scan_row scan_row(const struct found_objects *objects, const struct index_ref *ref)
{
	struct scan_row row = {0};
	if (ref->is_memo)
		row.names[row.count++] = &ref->object;
	else
		row.names[row.count++] = &ref->segment.tree;
	if (!ref->is_memo && ref->segment.data_size > 0)
		row.names[row.count++] = &ref->segment.data;
	for (size_t i = 0; i < row.count; i++)
		row.objects[i] = scan_find(objects, row.names[i]);
	return row;
}

void scan_mark(struct found_objects *objects, const struct index_refs *refs,
	const struct digest_list *pins)
{
	for (size_t i = 0; i < refs->len; i++) {
		struct scan_row row = scan_row(objects, &refs->items[i]);
		for (size_t j = 0; j < row.count; j++)
			if (row.objects[j] != NULL)
				row.objects[j]->refs++;
	}
	for (size_t i = 0; i < pins->len; i++) {
		struct found_object *found = scan_find(objects, &pins->items[i]);
		if (found != NULL)
			found->pinned = true;
	}
}
