/* SPDX-License-Identifier: MIT */
/*
 * From a read to chunks and back. A read is cut into spans, one for each chunk that it needs; they
 * are fetched at once and copied as they come, so reads end in any order. How many reads wait is
 * bounded by the NBD server, which holds their buffers.
 */
#include "node/reader.h"

#include "base/fd.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/queue.h>

#define LATE_US 10000000u       /* that a read waits until it is told */
#define TRACE_STEP (16u * 1024) /* bytes that are written to the trace's file at once */

struct span {
	struct job *job;
	struct node_fetch fetch;
	uint8_t *to;
	uint32_t segment;
	uint32_t skip, len; /* of the chunk, bytes */
};

struct job {
	TAILQ_ENTRY(job) entry;
	struct node_reader *reader;
	struct nbd_read *read;
	uint64_t begun_us;
	size_t waiting; /* spans without their bytes, and one while the job is being begun */
	enum node_tier tier;
	bool failed;
	VEC(struct span) spans;
};

struct node_reader {
	struct node_sources *sources;
	struct node_system *system;
	struct nbd_export export;
	void (*touched)(struct node_place place, const struct chunk *chunk, void *data);
	void *data;
	TAILQ_HEAD(, job) jobs;
	struct node_reads reads;
	uint64_t begun_us;
	uint64_t told_us; /* how long the first read had waited when that was told last; 0: it is
			     not late */
	VEC(struct node_trace_entry) trace;
	int trace_fd;
	struct buf trace_text;
};

static void job_free(struct job *job)
{
	VEC_FOREACH(span, &job->spans)
		node_fetch_cancel(&span->fetch);
	TAILQ_REMOVE(&job->reader->jobs, job, entry);
	job->reader->reads.waiting--;
	vec_done(&job->spans);
	free(job);
}

static void answer(struct job *job)
{
	struct node_reader *r = job->reader;
	struct nbd_read *read = job->read;
	bool failed = job->failed;
	if (failed)
		r->reads.failed++;
	else
		node_tier_count(&r->reads.tiers[job->tier], node_clock_us() - job->begun_us);
	job_free(job);
	nbd_read_answer(read, failed ? ENOMEM : 0);
}

static void on_fetched(struct cache_chunk *take_chunk, enum node_tier tier, void *data)
{
	struct span *span = data;
	struct job *job = span->job;
	if (take_chunk != NULL) {
		memcpy(span->to, take_chunk->bytes + span->skip, span->len);
		job->reader->reads.tiers[tier].bytes += span->len;
	} else {
		job->failed = true;
	}
	cache_chunk_unref(take_chunk);
	if (tier > job->tier)
		job->tier = tier;
	if (--job->waiting == 0)
		answer(job);
}

/* Bytes [pos, pos + len) of a segment, into spans. */
static int cut_segment(
	struct job *job, uint32_t at, uint64_t pos, uint64_t len, uint8_t *to, struct err *err)
{
	struct node_reader *r = job->reader;
	const struct node_segment *segment = &r->system->segments.items[at];
	while (len > 0) {
		struct node_place place = {
			.segment = at, .chunk = (uint32_t)chunk_table_find(&segment->table, pos)};
		struct span span = {.job = job, .to = to, .segment = at};
		span.fetch.chunk = node_system_chunk(r->system, place);
		span.skip = (uint32_t)(pos - span.fetch.chunk.off);
		span.len = span.fetch.chunk.len - span.skip;
		if (span.len > len)
			span.len = (uint32_t)len;
		if (vec_push(&job->spans, span, err) < 0)
			return -1;
		if (node_system_touch(r->system, place))
			r->touched(place, &span.fetch.chunk, r->data);
		pos += span.len;
		to += span.len;
		len -= span.len;
	}
	return 0;
}

/* Bytes [off, off + len) of the image: what is in memory is copied, the rest becomes spans. */
static int cut(struct job *job, uint64_t off, uint32_t len, struct err *err)
{
	const struct node_system *system = job->reader->system;
	uint8_t *to = nbd_read_buffer(job->read);
	const struct extent *extent = image_extent_at(&system->image, off);
	for (; len > 0; extent++) {
		uint64_t skip = off - extent->off;
		uint32_t n = extent->len - skip < len ? (uint32_t)(extent->len - skip) : len;
		uint32_t at = system->extent_segments[extent - system->image.extents.items];
		switch (extent->kind) {
		case EXTENT_MEMORY:
			memcpy(to, extent->data + skip, n);
			break;
		case EXTENT_ZERO:
			memset(to, 0, n);
			break;
		case EXTENT_FILE:
			if (cut_segment(job, at, extent->file_off + skip, n, to, err) < 0)
				return -1;
			break;
		}
		off += n;
		to += n;
		len -= n;
	}
	return 0;
}

/* Tracing never holds a read up: what cannot be kept is not kept. */
static void record(struct node_reader *r, uint64_t us, uint64_t off, uint32_t len)
{
	struct err err = ERR_INIT;
	struct node_trace_entry entry = {.us = us, .off = off, .len = len};
	if (r->trace.len < NODE_TRACE_MAX && vec_push(&r->trace, entry, &err) < 0)
		log_ignored(&err);
	if (r->trace_fd < 0)
		return;
	if (buf_printf(&r->trace_text, &err, "%" PRIu64 " %" PRIu64 " %" PRIu32 "\n", us, off,
		    len) == 0 &&
		r->trace_text.len < TRACE_STEP)
		return;
	if (err_clean(&err) &&
		fd_write_full(r->trace_fd, r->trace_text.data, r->trace_text.len, "trace", &err) ==
			0) {
		buf_clear(&r->trace_text);
		return;
	}
	log_ignored(&err);
	fd_close_ptr(&r->trace_fd);
}

static void on_read(struct nbd_read *read, uint64_t off, uint32_t len, void *data)
{
	struct node_reader *r = data;
	struct err err = ERR_INIT;
	struct job *job = calloc(1, sizeof(*job));
	if (job == NULL) {
		r->reads.failed++;
		nbd_read_answer(read, ENOMEM);
		return;
	}
	*job = (struct job){.reader = r, .read = read, .begun_us = node_clock_us(), .waiting = 1};
	TAILQ_INSERT_TAIL(&r->jobs, job, entry);
	r->reads.waiting++;
	record(r, job->begun_us - r->begun_us, off, len);
	if (cut(job, off, len, &err) < 0) {
		log_error("reading: %s", err.msg);
		job->failed = true;
		vec_done(&job->spans);
	}
	/* From here on spans keep their places, which their fetches point to. */
	job->waiting += job->spans.len;
	VEC_FOREACH(span, &job->spans) {
		struct chunk chunk = span->fetch.chunk;
		node_fetch(&span->fetch, r->sources, &chunk, SWARM_DEMAND, on_fetched, span);
	}
	if (--job->waiting == 0)
		answer(job);
}

void node_reader_forget(struct node_reader *reader, const struct nbd_connection *connection)
{
	for (struct job *job = TAILQ_FIRST(&reader->jobs), *next; job != NULL; job = next) {
		next = TAILQ_NEXT(job, entry);
		if (connection == NULL || nbd_read_connection(job->read) == connection)
			job_free(job);
	}
}

static void on_closed(struct nbd_connection *connection, const struct err *failure, void *data)
{
	struct node_reader *r = data;
	if (failure != NULL)
		log_warning("%s", failure->msg);
	node_reader_forget(r, connection);
}

int node_reader_new(struct node_sources *sources, struct node_system *system, const char *trace,
	void (*touched)(struct node_place place, const struct chunk *chunk, void *data), void *data,
	struct node_reader **ret, struct err *err)
{
	AUTO_FD int fd = -1;
	if (trace != NULL) {
		fd = open(trace, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		if (fd < 0)
			return err_sys(err, "cannot open '%s'", trace);
	}
	struct node_reader *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return err_oom(err);
	*r = (struct node_reader){.sources = sources,
		.system = system,
		.touched = touched,
		.data = data,
		.begun_us = node_clock_us(),
		.trace_fd = TAKE_FD(fd)};
	r->export = (struct nbd_export){.name = "",
		.size = system->image.size,
		.block_size = 4096,
		.read = on_read,
		.closed = on_closed,
		.data = r};
	TAILQ_INIT(&r->jobs);
	*ret = r;
	return 0;
}

struct node_reader *node_reader_free(struct node_reader *reader)
{
	struct err err = ERR_INIT;
	if (reader == NULL)
		return NULL;
	node_reader_forget(reader, NULL);
	if (reader->trace_fd >= 0 &&
		fd_write_full(reader->trace_fd, reader->trace_text.data, reader->trace_text.len,
			"trace", &err) < 0)
		log_ignored(&err);
	fd_close_ptr(&reader->trace_fd);
	buf_done(&reader->trace_text);
	vec_done(&reader->trace);
	free(reader);
	return NULL;
}

/* What the first read waits for; NULL: nothing by now. */
static const struct span *first_missing(const struct node_reader *r)
{
	const struct job *job = TAILQ_FIRST(&r->jobs);
	for (size_t i = 0; job != NULL && i < job->spans.len; i++)
		if (job->spans.items[i].fetch.sources != NULL)
			return &job->spans.items[i];
	return NULL;
}

void node_reader_check(struct node_reader *reader, uint64_t now_us)
{
	char hex[DIGEST_HEX_SIZE];
	const struct span *missing = first_missing(reader);
	uint64_t waited = missing != NULL ? now_us - missing->job->begun_us : 0;
	if (waited < LATE_US) {
		if (reader->told_us > 0)
			log_info("reads are answered again");
		reader->told_us = 0;
		return;
	}
	if (waited < 2 * reader->told_us)
		return;
	reader->told_us = waited;
	const struct node_segment *segment = &reader->system->segments.items[missing->segment];
	log_warning("%" PRIu64 " reads wait, the first for %" PRIu64
		    " s: nobody gives chunk '%s' of '%s'",
		reader->reads.waiting, waited / 1000000,
		digest_hex(&missing->fetch.chunk.digest, hex),
		reader->system->catalog.members.items[segment->member].name);
}

const struct nbd_export *node_reader_export(const struct node_reader *reader)
{
	return &reader->export;
}

const struct node_reads *node_reader_stat(const struct node_reader *reader)
{
	return &reader->reads;
}

int node_reader_trace(const struct node_reader *reader, struct buf *out, struct err *err)
{
	VEC_FOREACH(entry, &reader->trace)
		if (buf_printf(out, err, "%" PRIu64 " %" PRIu64 " %" PRIu32 "\n", entry->us,
			    entry->off, entry->len) < 0)
			return -1;
	return 0;
}
