/* SPDX-License-Identifier: MIT */
/*
 * Publishing to a directory. Files are written below .publish/ and renamed by flush, after one trip
 * to the disk for all of them: whoever reads the directory sees a file whole or not at all, also
 * after a power cut. What a killed process left there is removed by the next.
 */
#include "publish/target.h"

#include "base/fd.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORK ".publish"
#define FLUSH_FILES 512
#define JOBS 2 /* reading the pool and hashing go beside writing */

/* A file that is written, but not yet in its place. */
struct written {
	char *temp, *name; /* relative to the directory */
};

struct directory {
	struct target base;
	int fd, lock;
	pthread_mutex_t mutex; /* of what follows */
	VEC(struct written) pending;
	unsigned next;
};

static void drop_pending(struct directory *d)
{
	VEC_FOREACH(file, &d->pending) {
		(void)unlinkat(d->fd, file->temp, 0);
		free(file->temp);
		free(file->name);
	}
	d->pending.len = 0;
}

static void close_directory(struct target *target)
{
	struct directory *d = (struct directory *)target;
	drop_pending(d);
	vec_done(&d->pending);
	pthread_mutex_destroy(&d->mutex);
	fd_close_ptr(&d->lock);
	fd_close_ptr(&d->fd);
	free(d->base.name);
	free(d);
}

/* Makes the folders that hold `name`. */
static int make_parents(const struct directory *d, const char *name, struct err *err)
{
	AUTO_FREE char *dir = strdup(name);
	if (dir == NULL)
		return err_oom(err);
	for (char *slash = strchr(dir, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdirat(d->fd, dir, 0777) < 0 && errno != EEXIST)
			return err_sys(err, "cannot create '%s/%s'", d->base.name, dir);
		*slash = '/';
	}
	return 0;
}

static int list_folder(const struct directory *d, const char *folder, struct target_list *ret,
	unsigned depth, struct err *err)
{
	AUTO_DIR *dir = fd_opendir(d->fd, folder);
	if (dir == NULL)
		return errno == ENOENT ? 0
				       : err_sys(err, "cannot open '%s/%s'", d->base.name, folder);
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		struct stat st;
		if (entry->d_name[0] == '.')
			continue;
		AUTO_FREE char *name = path_printf(err, "%s%s", folder, entry->d_name);
		if (name == NULL)
			return -1;
		if (fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return err_sys(err, "cannot read '%s/%s'", d->base.name, name);
		if (S_ISREG(st.st_mode) &&
			target_list_add(ret, name, strlen(name), (uint64_t)st.st_size, err) < 0)
			return -1;
		if (!S_ISDIR(st.st_mode) || depth == 0)
			continue;
		AUTO_FREE char *below = path_printf(err, "%s/", name);
		if (below == NULL || list_folder(d, below, ret, depth - 1, err) < 0)
			return -1;
	}
	return 0;
}

static int list(struct target *target, const char *prefix, struct target_list *ret, struct err *err)
{
	AUTO_TARGET_LIST found = {0};
	if (list_folder((struct directory *)target, prefix, &found, 4, err) < 0)
		return -1;
	target_list_sort(&found);
	*ret = found;
	found = (struct target_list){0};
	return 0;
}

static int get(
	struct target *target, const char *name, size_t max, struct buf *out, struct err *err)
{
	struct directory *d = (struct directory *)target;
	struct err local = ERR_INIT;
	if (fd_read_file(d->fd, name, max, out, &local) == 0)
		return 1;
	if (local.kind == ERR_NOT_FOUND)
		return 0;
	*err = local;
	return err_prefix(err, "'%s'", target->name);
}

/* Under the mutex. Files first, and then the folders that name them. */
static int flush_locked(struct directory *d, struct err *err)
{
	if (d->pending.len == 0)
		return 0;
	if (syncfs(d->fd) < 0)
		return err_sys(err, "cannot write '%s'", d->base.name);
	VEC_FOREACH(file, &d->pending) {
		if (make_parents(d, file->name, err) < 0)
			return -1;
		if (renameat(d->fd, file->temp, d->fd, file->name) < 0)
			return err_sys(err, "cannot rename to '%s/%s'", d->base.name, file->name);
	}
	if (syncfs(d->fd) < 0)
		return err_sys(err, "cannot write '%s'", d->base.name);
	drop_pending(d);
	return 0;
}

static int flush(struct target *target, struct err *err)
{
	struct directory *d = (struct directory *)target;
	pthread_mutex_lock(&d->mutex);
	int r = flush_locked(d, err);
	pthread_mutex_unlock(&d->mutex);
	return r;
}

static char *temp_name(struct directory *d, struct err *err)
{
	pthread_mutex_lock(&d->mutex);
	unsigned number = d->next++;
	pthread_mutex_unlock(&d->mutex);
	return path_printf(err, WORK "/%u", number);
}

static int write_temp(
	struct directory *d, const char *temp, const struct target_file *file, struct err *err)
{
	AUTO_FD int fd = openat(d->fd, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return err_sys(err, "cannot create '%s/%s'", d->base.name, temp);
	AUTO_FREE char *path = path_printf(err, "%s/%s", d->base.name, file->name);
	return path == NULL ? -1 : fd_write_full(fd, file->data, file->size, path, err);
}

static int put(struct target *target, const struct target_file *file, struct err *err)
{
	struct directory *d = (struct directory *)target;
	struct written written = {.temp = temp_name(d, err), .name = strdup(file->name)};
	int r = written.temp == NULL ? -1 : written.name == NULL ? err_oom(err) : 0;
	if (r == 0)
		r = write_temp(d, written.temp, file, err);
	pthread_mutex_lock(&d->mutex);
	if (r == 0)
		r = vec_push(&d->pending, written, err);
	if (r < 0) {
		if (written.temp != NULL)
			(void)unlinkat(d->fd, written.temp, 0);
		free(written.temp);
		free(written.name);
	} else if (d->pending.len >= FLUSH_FILES) {
		r = flush_locked(d, err);
	}
	pthread_mutex_unlock(&d->mutex);
	return r;
}

/* Folders that become empty are left: they are few. */
static int remove_file(struct target *target, const char *name, struct err *err)
{
	struct directory *d = (struct directory *)target;
	if (unlinkat(d->fd, name, 0) < 0 && errno != ENOENT)
		return err_sys(err, "cannot remove '%s/%s'", target->name, name);
	return 0;
}

static const struct target_ops directory_ops = {
	.list = list,
	.get = get,
	.put = put,
	.flush = flush,
	.remove = remove_file,
	.close = close_directory,
};

static int remove_leftovers(const struct directory *d, struct err *err)
{
	AUTO_DIR *dir = fd_opendir(d->fd, WORK);
	if (dir == NULL)
		return err_sys(err, "cannot open '%s/" WORK "'", d->base.name);
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
		if (entry->d_name[0] != '.')
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	return 0;
}

static int lock(struct directory *d, struct err *err)
{
	if (mkdirat(d->fd, WORK, 0777) < 0 && errno != EEXIST)
		return err_sys(err, "cannot create '%s/" WORK "'", d->base.name);
	d->lock = openat(d->fd, WORK "/.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (d->lock < 0)
		return err_sys(err, "cannot open '%s/" WORK "/.lock'", d->base.name);
	if (flock(d->lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return err_sys(err, "cannot lock '%s'", d->base.name);
	return err_raise(err, ERR_AGAIN, "another process is publishing to '%s'", d->base.name);
}

int directory_open(const char *path, struct target **ret, struct err *err)
{
	struct directory *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return err_oom(err);
	*d = (struct directory){
		.base = {.ops = &directory_ops, .jobs = JOBS}, .fd = -1, .lock = -1};
	pthread_mutex_init(&d->mutex, NULL);
	d->base.name = strdup(path);
	int r = d->base.name != NULL ? path_mkdirs(path, err) : err_oom(err);
	if (r == 0)
		r = fd_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, &d->fd, err);
	if (r == 0)
		r = lock(d, err);
	if (r == 0)
		r = remove_leftovers(d, err);
	if (r < 0) {
		close_directory(&d->base);
		return -1;
	}
	*ret = &d->base;
	return 0;
}
