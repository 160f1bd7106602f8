/* SPDX-License-Identifier: MIT */
/*
 * Threads that each take the next file, hold it to its name and put it. A file is mapped: its bytes
 * are needed twice, to hash and to send, and may be more than fit into memory.
 */
#include "publish/uploads.h"

#include "base/fd.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

void uploads_done(struct uploads *uploads)
{
	VEC_FOREACH(upload, &uploads->items)
		free(upload->name);
	vec_done(&uploads->items);
}

int uploads_add(struct uploads *uploads, const struct upload *upload, struct err *err)
{
	struct upload copy = *upload;
	copy.name = strdup(upload->name);
	if (copy.name == NULL)
		return err_oom(err);
	if (vec_push(&uploads->items, copy, err) < 0) {
		free(copy.name);
		return -1;
	}
	uploads->bytes += copy.size;
	return 0;
}

struct runner {
	const struct uploads *uploads;
	struct target *target;
	struct progress *progress;
	pthread_mutex_t mutex; /* of what follows */
	size_t next;
	uint64_t done; /* bytes */
	struct err err;
};

static int put_mapped(
	struct target *target, const struct upload *upload, const void *data, struct err *err)
{
	struct digest found = digest_of(data, upload->size);
	if (upload->digest != NULL && !digest_equal(&found, upload->digest)) {
		err_raise(err, ERR_CORRUPT, "'%s' is damaged", upload->path);
		return err_hint(err, "'snowboot pool verify --repair' forgets what is damaged");
	}
	const struct target_file file = {.name = upload->name,
		.data = data,
		.size = upload->size,
		.type = "application/octet-stream",
		.is_immutable = upload->digest != NULL};
	return target->ops->put(target, &file, err);
}

static int put_one(struct target *target, const struct upload *upload, struct err *err)
{
	AUTO_FD int fd = -1;
	struct stat st;
	if (fd_open(AT_FDCWD, upload->path, O_RDONLY, &fd, err) < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "cannot read '%s'", upload->path);
	if ((uint64_t)st.st_size != upload->size)
		return err_raise(err, ERR_CORRUPT, "'%s' has %ju bytes instead of %ju",
			upload->path, (uintmax_t)st.st_size, (uintmax_t)upload->size);
	if (upload->size == 0)
		return put_mapped(target, upload, "", err);
	void *data = mmap(NULL, upload->size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return err_sys(err, "cannot map '%s'", upload->path);
	int r = put_mapped(target, upload, data, err);
	(void)munmap(data, upload->size);
	return r;
}

static void *run(void *data)
{
	struct runner *r = data;
	pthread_mutex_lock(&r->mutex);
	while (err_clean(&r->err) && r->next < r->uploads->items.len) {
		const struct upload *upload = &r->uploads->items.items[r->next++];
		pthread_mutex_unlock(&r->mutex);
		struct err err = ERR_INIT;
		int result = put_one(r->target, upload, &err);
		pthread_mutex_lock(&r->mutex);
		if (result < 0 && err_clean(&r->err))
			r->err = err;
		r->done += upload->size;
		progress_update(r->progress, r->done, upload->name);
	}
	pthread_mutex_unlock(&r->mutex);
	return NULL;
}

int uploads_run(const struct uploads *uploads, struct target *target, struct progress *progress,
	struct err *err)
{
	struct runner runner = {.uploads = uploads, .target = target, .progress = progress};
	size_t wanted = target->jobs < uploads->items.len ? target->jobs : uploads->items.len;
	if (wanted == 0)
		return 0;
	AUTO_FREE pthread_t *threads = calloc(wanted, sizeof(*threads));
	if (threads == NULL)
		return err_oom(err);
	pthread_mutex_init(&runner.mutex, NULL);
	progress_begin(progress, "publish", uploads->bytes, "bytes");
	size_t started = 0;
	while (started + 1 < wanted && pthread_create(&threads[started], NULL, run, &runner) == 0)
		started++;
	run(&runner);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	progress_end(progress);
	pthread_mutex_destroy(&runner.mutex);
	/* What was put before a failure is kept, so that the next run goes on from there. */
	struct err ignored = ERR_INIT;
	if (target->ops->flush(target, err_clean(&runner.err) ? err : &ignored) < 0 &&
		err_clean(&runner.err))
		return -1;
	if (err_clean(&runner.err))
		return 0;
	*err = runner.err;
	return -1;
}
