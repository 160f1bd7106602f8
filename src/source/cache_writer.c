/* SPDX-License-Identifier: MIT */
/*
 * From the pool to a binary cache: NARs first, on all cores, then what describes them, in the order
 * of dependencies. A NAR is named by its own hash, which is known before it is packed.
 */
#include "source/cache_writer.h"

#include "base/fd.h"
#include "base/outfile.h"
#include "base/path.h"
#include "nix/nix32.h"
#include "nix/store_path.h"
#include "pool/crew.h"

#include <archive.h>
#include <archive_entry.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define CACHE_INFO "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n"
#define NAR_NAME_SIZE (sizeof("nar/") + 52 + sizeof(".nar.bz2"))

/* What is to be written of one store path. */
struct writing {
	size_t item;
	struct digest file_hash;
	uint64_t file_size;
};

struct job {
	const struct cache_writer *writer;
	struct pool *pool;
	const struct closure *closure;
	struct pool_segment *segments;
	struct writing *todo;
	size_t count;
	pthread_mutex_t lock; /* of what follows */
	struct progress *progress;
	uint64_t done; /* bytes of NAR */
};

/* A NAR on its way: hashed as a NAR, packed, hashed as a file, written. */
struct flow {
	struct archive *archive;
	int fd;
	const char *name;
	struct nar_hasher nar;
	struct sha256_ctx file;
	uint64_t file_size;
	struct err failure; /* of writing */
};

static la_ssize_t on_write(struct archive *archive, void *data, const void *bytes, size_t len)
{
	struct flow *flow = data;
	/* It tries once more when it is freed. */
	if (!err_clean(&flow->failure))
		return -1;
	if (fd_write_full(flow->fd, bytes, len, flow->name, &flow->failure) < 0) {
		archive_set_error(archive, -1, "the file cannot be written");
		return -1;
	}
	sha256_update(&flow->file, len, bytes);
	flow->file_size += len;
	return (la_ssize_t)len;
}

static int packing_failed(const struct flow *flow, struct err *err)
{
	if (err_clean(&flow->failure))
		return err_raise(err, ERR_IO, "cannot pack '%s': %s", flow->name,
			archive_error_string(flow->archive));
	*err = flow->failure;
	return -1;
}

static int put_nar(void *data, const void *bytes, size_t len, struct err *err)
{
	struct flow *flow = data;
	sha256_update(&flow->nar.ctx, len, bytes);
	flow->nar.size += len;
	if (len > 0 && archive_write_data(flow->archive, bytes, len) != (la_ssize_t)len)
		return packing_failed(flow, err);
	return 0;
}

static int add_filter(struct archive *archive, enum nar_compression compression)
{
	switch (compression) {
	case NAR_COMPRESSION_XZ:
		return archive_write_add_filter_xz(archive);
	case NAR_COMPRESSION_ZSTD:
		return archive_write_add_filter_zstd(archive);
	case NAR_COMPRESSION_BZIP2:
		return archive_write_add_filter_bzip2(archive);
	case NAR_COMPRESSION_GZIP:
		return archive_write_add_filter_gzip(archive);
	case NAR_COMPRESSION_NONE:
		return ARCHIVE_OK;
	case NAR_COMPRESSION_BROTLI:
		break;
	}
	return ARCHIVE_FATAL;
}

/* One file in no format at all, but through the filter, without padding at its end. */
static int open_archive(struct flow *flow, enum nar_compression compression, struct err *err)
{
	struct archive_entry *entry = archive_entry_new();
	flow->archive = archive_write_new();
	if (entry == NULL || flow->archive == NULL) {
		archive_entry_free(entry);
		return err_oom(err);
	}
	archive_entry_set_filetype(entry, AE_IFREG);
	bool good = add_filter(flow->archive, compression) == ARCHIVE_OK &&
		archive_write_set_format_raw(flow->archive) == ARCHIVE_OK &&
		archive_write_set_bytes_per_block(flow->archive, 0) == ARCHIVE_OK &&
		archive_write_open(flow->archive, flow, NULL, on_write, NULL) == ARCHIVE_OK &&
		archive_write_header(flow->archive, entry) == ARCHIVE_OK;
	archive_entry_free(entry);
	return good ? 0 : packing_failed(flow, err);
}

static const char *nar_name(
	const struct job *job, const struct path_info *info, char out[NAR_NAME_SIZE])
{
	char hash[53];
	nix32_encode(info->nar_hash.bytes, DIGEST_SIZE, hash);
	snprintf(out, NAR_NAME_SIZE, "nar/%s.nar%s", hash,
		nar_compression_suffix(job->writer->compression));
	return out;
}

static void free_archive(struct flow *flow)
{
	if (flow->archive != NULL)
		(void)archive_write_free(flow->archive); /* it was closed, or has failed */
}

static int pack(
	const struct job *job, struct writing *writing, int fd, const char *path, struct err *err)
{
	AUTO(free_archive) struct flow flow = {.fd = fd, .name = path};
	const struct path_info *info = &job->closure->items[writing->item];
	const struct nar_sink sink = {put_nar, &flow};
	nar_hasher_init(&flow.nar);
	sha256_init(&flow.file);
	if (open_archive(&flow, job->writer->compression, err) < 0 ||
		pool_write_nar(job->pool, &job->segments[writing->item], &sink, err) < 0)
		return -1;
	if (archive_write_close(flow.archive) != ARCHIVE_OK)
		return packing_failed(&flow, err);
	struct digest digest = nar_hasher_finish(&flow.nar);
	if (!digest_equal(&digest, &info->nar_hash)) {
		err_raise(err, ERR_CORRUPT, "the segment of '%s' is damaged", info->path);
		return err_hint(err, "'snowboot pool verify --repair' forgets what is damaged");
	}
	writing->file_hash = digest_finish(&flow.file);
	writing->file_size = flow.file_size;
	return 0;
}

static int write_nar(void *data, struct hand *hand, size_t i, struct err *err)
{
	struct job *job = data;
	struct writing *writing = &job->todo[i];
	const struct path_info *info = &job->closure->items[writing->item];
	char name[NAR_NAME_SIZE];
	AUTO_OUTFILE out = OUTFILE_INIT;
	AUTO_FREE char *path =
		path_printf(err, "%s/%s", job->writer->dir, nar_name(job, info, name));
	(void)hand;
	if (path == NULL || outfile_open(&out, path, err) < 0 ||
		pack(job, writing, out.fd, path, err) < 0 || outfile_commit(&out, err) < 0)
		return -1;
	pthread_mutex_lock(&job->lock);
	job->done += info->nar_size;
	progress_update(job->progress, job->done, info->path);
	pthread_mutex_unlock(&job->lock);
	return 0;
}

static int copy_text(const char *text, char **ret, struct err *err)
{
	*ret = text != NULL ? strdup(text) : NULL;
	return text == NULL || *ret != NULL ? 0 : err_oom(err);
}

/* The signatures that the path has, and ours. */
static int put_sigs(const struct job *job, const char *sigs, struct narinfo *info, struct err *err)
{
	for (const char *p = sigs != NULL ? sigs : ""; *p != '\0';) {
		size_t len = strcspn(p, " ");
		if (len > 0 && strvec_push_n(&info->sigs, p, len, err) < 0)
			return -1;
		p += len;
		p += strspn(p, " ");
	}
	AUTO_BUF fingerprint = {0};
	if (narinfo_fingerprint(info, &fingerprint, err) < 0)
		return -1;
	for (size_t i = 0; i < job->writer->key_count; i++) {
		AUTO(signature_done) struct signature signature = {0};
		if (key_sign(&job->writer->keys[i], fingerprint.data, fingerprint.len, &signature,
			    err) < 0)
			return -1;
		AUTO_FREE char *text = signature_format(&signature, err);
		if (text == NULL ||
			(!strvec_has(&info->sigs, text) && strvec_push(&info->sigs, text, err) < 0))
			return -1;
	}
	return 0;
}

static int describe(
	const struct job *job, const struct writing *writing, struct narinfo *info, struct err *err)
{
	const struct path_info *from = &job->closure->items[writing->item];
	char name[NAR_NAME_SIZE];
	info->compression = job->writer->compression;
	info->has_file_hash = true;
	info->file_hash = writing->file_hash;
	info->file_size = writing->file_size;
	info->nar_hash = from->nar_hash;
	info->nar_size = from->nar_size;
	if (copy_text(from->path, &info->path, err) < 0 ||
		copy_text(nar_name(job, from, name), &info->url, err) < 0 ||
		copy_text(from->deriver, &info->deriver, err) < 0 ||
		copy_text(from->ca, &info->ca, err) < 0)
		return -1;
	for (size_t i = 0; i < from->ref_count; i++)
		if (strvec_push(&info->refs, job->closure->items[from->refs[i]].path, err) < 0)
			return -1;
	strvec_sort(&info->refs);
	return put_sigs(job, from->sigs, info, err);
}

static char *narinfo_file(const struct job *job, size_t item, struct err *err)
{
	return path_printf(err, "%s/%.*s.narinfo", job->writer->dir, STORE_PATH_HASH_LEN,
		path_basename(job->closure->items[item].path));
}

static int write_narinfo(const struct job *job, const struct writing *writing, struct err *err)
{
	AUTO_NARINFO info = {0};
	AUTO_BUF text = {0};
	AUTO_FREE char *path = narinfo_file(job, writing->item, err);
	if (path == NULL || describe(job, writing, &info, err) < 0 ||
		narinfo_format(&info, &text, err) < 0)
		return -1;
	return outfile_write(path, text.data, text.len, err);
}

/* What is not there, in the order of the closure; equal contents are packed once for each name. */
static int choose(struct job *job, uint64_t *ret_bytes, struct err *err)
{
	uint64_t bytes = 0;
	job->todo = calloc(job->closure->len + 1, sizeof(*job->todo));
	if (job->todo == NULL)
		return err_oom(err);
	for (size_t i = 0; i < job->closure->len; i++) {
		AUTO_FREE char *path = narinfo_file(job, i, err);
		if (path == NULL)
			return -1;
		if (access(path, F_OK) == 0)
			continue;
		job->todo[job->count++].item = i;
		bytes += job->closure->items[i].nar_size;
	}
	*ret_bytes = bytes;
	return 0;
}

static int prepare_directory(const struct cache_writer *writer, struct err *err)
{
	AUTO_FREE char *nars = path_printf(err, "%s/nar", writer->dir);
	AUTO_FREE char *info = path_printf(err, "%s/nix-cache-info", writer->dir);
	if (nars == NULL || info == NULL || path_mkdirs(nars, err) < 0)
		return -1;
	if (access(info, F_OK) == 0)
		return 0;
	return outfile_write(info, CACHE_INFO, strlen(CACHE_INFO), err);
}

static int write_all(struct job *job, struct err *err)
{
	uint64_t bytes = 0;
	struct crew_params crew = {.level = 1, .jobs = job->writer->jobs};
	if (crew.jobs == 0)
		crew.jobs = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	if (prepare_directory(job->writer, err) < 0 || choose(job, &bytes, err) < 0)
		return -1;
	progress_begin(job->progress, "copy", bytes, "bytes");
	int r = crew_run(&crew, job->count, write_nar, job, err);
	progress_end(job->progress);
	for (size_t i = 0; i < job->count && r == 0; i++)
		r = write_narinfo(job, &job->todo[i], err);
	return r;
}

int cache_write(const struct cache_writer *writer, struct pool *pool, const struct closure *closure,
	const struct pool_params *params, struct progress *progress, struct cache_written *ret,
	struct err *err)
{
	struct job job = {.writer = writer, .pool = pool, .closure = closure, .progress = progress};
	size_t missing;
	int found = pool_find_closure(pool, closure, params, &job.segments, &missing, err);
	if (found == 0)
		return err_raise(err, ERR_AGAIN, "'%s' was collected again at once",
			closure->items[missing].path);
	if (found < 0)
		return -1;
	pthread_mutex_init(&job.lock, NULL);
	int r = write_all(&job, err);
	pthread_mutex_destroy(&job.lock);
	struct cache_written written = {.paths = job.count};
	for (size_t i = 0; i < job.count; i++)
		written.bytes += job.todo[i].file_size;
	free(job.todo);
	free(job.segments);
	if (r == 0)
		*ret = written;
	return r;
}
