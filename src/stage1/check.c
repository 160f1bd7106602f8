/* SPDX-License-Identifier: MIT */
/*
 * Hashing the image on all CPUs. There are no threads in stage 1: processes share one page with the
 * next part to take and the first part found wrong, and the image through the page cache.
 */
#include "stage1/check.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <nettle/sha2.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECE (256 * 1024) /* bytes read at once: stays in the CPU's cache */
#define WORKERS_MAX 16

struct shared {
	atomic_size_t next;  /* index into `order` of the next part to hash */
	atomic_size_t wrong; /* the lowest index into the plan's parts that is damaged */
	atomic_int failure;  /* errno of a read that failed, or 0 */
};

struct job {
	const struct plan *plan;
	const char *file;
	size_t *order; /* indexes of the parts to hash, largest first */
	size_t len;
	struct shared *shared;
};

int check_level_parse(const char *text, enum check_level *ret, struct err *err)
{
	if (text == NULL || strcmp(text, "full") == 0)
		*ret = CHECK_FULL;
	else if (strcmp(text, "metadata") == 0)
		*ret = CHECK_METADATA;
	else if (strcmp(text, "no") == 0)
		*ret = CHECK_NO;
	else
		return err_raise(err, ERR_USAGE,
			"'snowboot.check=%s' is not one of full, metadata, no", text);
	return 0;
}

static int hash_part(int fd, const struct job *job, const struct plan_part *part, uint8_t *piece,
	struct digest *ret)
{
	struct err err = ERR_INIT;
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	for (uint64_t done = 0; done < part->len;) {
		uint64_t left = part->len - done;
		size_t want = left < PIECE ? (size_t)left : PIECE, len;
		if (fd_pread_full(fd, piece, want, part->off + done, job->file, &len, &err) < 0)
			return err.sys;
		if (len == 0)
			return EIO;
		sha256_update(&ctx, len, piece);
		done += len;
	}
	*ret = digest_finish(&ctx);
	return 0;
}

/* Takes parts until none is left. Runs in each worker; tells through shared memory. */
static void work(const struct job *job)
{
	struct shared *shared = job->shared;
	AUTO_FREE uint8_t *piece = malloc(PIECE);
	AUTO_FD int fd = open(job->file, O_RDONLY | O_CLOEXEC);
	if (piece == NULL || fd < 0) {
		atomic_store(&shared->failure, piece == NULL ? ENOMEM : errno);
		return;
	}
	size_t i;
	while ((i = atomic_fetch_add(&shared->next, 1)) < job->len) {
		const struct plan_part *part = &job->plan->parts.items[job->order[i]];
		struct digest found;
		int errnum = hash_part(fd, job, part, piece, &found);
		if (errnum != 0) {
			atomic_store(&shared->failure, errnum);
			return;
		}
		if (digest_equal(&found, &part->digest))
			continue;
		size_t wrong = atomic_load(&shared->wrong);
		while (job->order[i] < wrong)
			if (atomic_compare_exchange_weak(&shared->wrong, &wrong, job->order[i]))
				break;
	}
}

static size_t worker_count(size_t parts)
{
	cpu_set_t cpus;
	CPU_ZERO(&cpus);
	size_t count =
		sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? (size_t)CPU_COUNT(&cpus) : 1;
	if (count > WORKERS_MAX)
		count = WORKERS_MAX;
	return count < parts ? count : parts;
}

/* One of the workers is this process. */
static int run_workers(const struct job *job, struct err *err)
{
	pid_t pids[WORKERS_MAX];
	size_t count = 0, want = worker_count(job->len);
	while (count + 1 < want) {
		pid_t pid = fork();
		if (pid < 0)
			break; /* we do their share */
		if (pid == 0) {
			work(job);
			_exit(0);
		}
		pids[count++] = pid;
	}
	work(job);
	int crashed = 0;
	for (size_t i = 0; i < count; i++) {
		int status = 0;
		while (waitpid(pids[i], &status, 0) < 0 && errno == EINTR)
			;
		if (WIFSIGNALED(status))
			crashed = WTERMSIG(status);
	}
	if (crashed != 0)
		return err_raise(err, ERR_IO,
			"a process that hashes it was killed by signal %d (%s)", crashed,
			strsignal(crashed));
	int failure = atomic_load(&job->shared->failure);
	return failure != 0 ? err_errno(err, failure, "cannot read '%s'", job->file) : 0;
}

static int name_damage(const struct job *job, struct err *err)
{
	size_t wrong = atomic_load(&job->shared->wrong);
	if (wrong == SIZE_MAX)
		return 0;
	const struct plan_part *part = &job->plan->parts.items[wrong];
	err_raise(err, ERR_CORRUPT,
		"bytes %" PRIu64 " to %" PRIu64 " have another SHA-256 than planned", part->off,
		part->off + part->len - 1);
	if (part->name != NULL)
		err_prefix(err, "the data of '/nix/store/%s' are damaged", part->name);
	else
		err_prefix(err, "its file system metadata are damaged");
	return err_hint(err,
		"memory was short, or the transfer or the memory is at fault: boot "
		"again with more memory");
}

struct sized {
	size_t index;
	uint64_t len;
};

static int larger_first(const void *left, const void *right)
{
	const struct sized *a = left, *b = right;
	return (a->len < b->len) - (a->len > b->len);
}

/* Largest first, so that no CPU starts a large part when the others are done. */
static int order_parts(struct job *job, enum check_level level, struct err *err)
{
	size_t count = job->plan->parts.len;
	AUTO_FREE struct sized *sized = calloc(count, sizeof(*sized));
	AUTO_FREE size_t *order = calloc(count, sizeof(*order));
	if (sized == NULL || order == NULL)
		return err_oom(err);
	for (size_t i = 0; i < count; i++) {
		const struct plan_part *part = &job->plan->parts.items[i];
		if (level == CHECK_FULL || part->name == NULL)
			sized[job->len++] = (struct sized){i, part->len};
	}
	qsort(sized, job->len, sizeof(*sized), larger_first);
	for (size_t i = 0; i < job->len; i++)
		order[i] = sized[i].index;
	job->order = TAKE_PTR(order);
	return 0;
}

static int check_parts(struct job *job, enum check_level level, struct err *err)
{
	if (order_parts(job, level, err) < 0)
		return -1;
	AUTO_FREE size_t *order = job->order;
	job->shared = mmap(NULL, sizeof(*job->shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (job->shared == MAP_FAILED)
		return err_sys(err, "cannot share memory");
	atomic_store(&job->shared->wrong, SIZE_MAX);
	int r = run_workers(job, err);
	if (r == 0)
		r = name_damage(job, err);
	munmap(job->shared, sizeof(*job->shared));
	return r;
}

int check_image(const struct plan *plan, const char *file, enum check_level level, struct err *err)
{
	struct stat st;
	if (stat(file, &st) < 0) {
		if (errno != ENOENT)
			return err_sys(err, "cannot read image '%s'", file);
		err_raise(err, ERR_NOT_FOUND, "image '%s' is not in the initramfs", file);
		return err_hint(err,
			"the archive was cut off, or memory was short: boot again "
			"with more memory");
	}
	if ((uint64_t)st.st_size != plan->image_size) {
		err_raise(err, ERR_CORRUPT,
			"image '%s' has %" PRIu64 " bytes, %" PRIu64 " are planned", file,
			(uint64_t)st.st_size, plan->image_size);
		return err_hint(err,
			"the transfer was cut off, or memory was short: boot again "
			"with more memory");
	}
	struct job job = {.plan = plan, .file = file};
	if (level != CHECK_NO && check_parts(&job, level, err) < 0)
		return err_prefix(err, "image '%s'", file);
	return 0;
}
