/* SPDX-License-Identifier: MIT */
/*
 * Jobs for the helper, their answers and their deadlines. Answers come in the order of the jobs.
 * A read that is too late is a miss, and until the helper answers again everything is one at once,
 * so a hanging disk costs the reader one deadline. The helper's own life is in disk_life.c.
 */
#include "cache/disk.h"

#include "base/log.h"
#include "cache/disk_life.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ERRORS_MAX 16u  /* reads in a row that fail: the disk is gone */
#define HANG_FACTOR 40u /* times the read deadline without any answer: the helper hangs */
#define ANSWERS_PER_TURN 64
#define SYNC_MS 2000u

uint64_t disk_now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void job_free(struct disk_job *job)
{
	cache_chunk_unref(job->chunk);
	buf_done(&job->payload);
	free(job);
}

struct disk_job *disk_job_new(struct disk *disk, enum helper_op op)
{
	struct disk_job *job = calloc(1, sizeof(*job));
	if (job == NULL)
		return NULL;
	job->job.op = op;
	job->job.id = disk->next_id++;
	TAILQ_INSERT_TAIL(&disk->waiting, job, link);
	return job;
}

/* Wakes up for the next deadline, the end of the helper's patience, or the next sync. */
static void arm(struct disk *disk)
{
	uint64_t now = disk_now_ms(), wake = UINT64_MAX;
	struct disk_job *job;
	TAILQ_FOREACH(job, &disk->sent, link) {
		if (job->found != NULL && job->deadline_ms < wake)
			wake = job->deadline_ms;
	}
	uint64_t hang = disk->progress_ms + (uint64_t)disk->read_ms * HANG_FACTOR;
	if ((!TAILQ_EMPTY(&disk->sent) || disk->state == DISK_OPENING) && hang < wake)
		wake = hang;
	uint64_t open = disk->started_ms + disk->read_ms * 10ull;
	if (disk->state == DISK_OPENING && disk->ready != NULL && open < wake)
		wake = open;
	uint64_t sync = disk->writer.written_ms + SYNC_MS;
	if (disk->state == DISK_UP && disk->writer.unsynced && sync < wake)
		wake = sync;
	if (wake == UINT64_MAX) {
		event_del(disk->timer);
		return;
	}
	uint64_t wait = wake > now ? wake - now : 1;
	struct timeval tv = {.tv_sec = (time_t)(wait / 1000), .tv_usec = wait % 1000 * 1000};
	event_add(disk->timer, &tv);
}

void disk_send(struct disk *disk)
{
	struct disk_job *job;
	while (disk->socket >= 0 && (job = TAILQ_FIRST(&disk->waiting)) != NULL) {
		struct err err = ERR_INIT;
		const void *payload =
			job->chunk != NULL ? job->chunk->bytes : (void *)job->payload.data;
		size_t size = job->chunk != NULL ? job->chunk->len : job->payload.len;
		int r = helper_send(disk->socket, &job->job, payload, size, &err);
		if (r != 0) { /* full, or gone: then the socket is readable, too */
			event_add(disk->writable, NULL);
			break;
		}
		if (TAILQ_EMPTY(&disk->sent))
			disk->progress_ms = disk_now_ms();
		TAILQ_REMOVE(&disk->waiting, job, link);
		TAILQ_INSERT_TAIL(&disk->sent, job, link);
	}
	arm(disk);
}

static void answer_read(struct disk_job *job, struct cache_chunk *take_chunk)
{
	disk_read_fn *found = job->found;
	job->found = NULL;
	if (found != NULL)
		found(take_chunk, job->data);
	else
		cache_chunk_unref(take_chunk);
}

void disk_drop_jobs(struct disk *disk)
{
	struct disk_jobs jobs;
	struct disk_job *job;
	TAILQ_INIT(&jobs);
	TAILQ_CONCAT(&jobs, &disk->sent, link);
	TAILQ_CONCAT(&jobs, &disk->waiting, link);
	while ((job = TAILQ_FIRST(&jobs)) != NULL) {
		answer_read(job, NULL);
		TAILQ_REMOVE(&jobs, job, link);
		job_free(job);
	}
}

/* Takes what lies there out of the books. */
static void forget(struct disk *disk, const struct helper_job *job)
{
	struct index_entry *entry = cache_index_find(&disk->index, job->record.digest.bytes);
	if (entry != NULL && entry->block == job->block)
		cache_index_remove(&disk->index, entry);
}

static void read_done(struct disk *disk, struct disk_job *job, const struct helper_answer *answer)
{
	const struct layout_record *record = &job->job.record;
	if (answer->errnum != 0 || answer->rotten || answer->size != record->len) {
		if (answer->errnum != 0) {
			disk->io_errors++;
			disk->errors++;
		} else {
			disk->rotten++;
		}
		forget(disk, &job->job);
		answer_read(job, NULL);
		return;
	}
	disk->errors = 0;
	struct index_entry *entry = cache_index_find(&disk->index, record->digest.bytes);
	if (entry != NULL)
		cache_index_touch(&disk->index, entry);
	struct err err = ERR_INIT;
	struct cache_chunk *chunk =
		job->found == NULL ? NULL : cache_chunk_new(&record->digest, record->len, &err);
	if (chunk != NULL)
		memcpy(chunk->bytes, disk->payload, record->len);
	answer_read(job, chunk);
}

static void write_notes(struct disk *disk)
{
	struct note *note;
	if (disk->state != DISK_UP || disk->read_only || disk->note_busy ||
		(note = notes_take_dirty(&disk->notes)) == NULL)
		return;
	struct err err = ERR_INIT;
	struct disk_job *job = disk_job_new(disk, HELPER_NOTE);
	if (job == NULL || buf_put(&job->payload, note->bytes.data, note->bytes.len, &err) < 0) {
		note->dirty = true; /* with the next one */
		return;
	}
	job->job.block = note->slot;
	job->job.record.sequence = note->head.sequence;
	memcpy(job->job.name, note->head.name, sizeof(job->job.name));
	disk->note_busy = true;
	disk_send(disk);
}

void disk_opened(struct disk *disk)
{
	write_notes(disk);
	arm(disk);
}

static void note_done(struct disk *disk, const struct helper_answer *answer)
{
	disk->note_busy = false;
	if (answer->errnum != 0) {
		disk->io_errors++;
		log_warning("cannot write a note to the cache '%s': %s, ignoring", disk->path,
			strerror(answer->errnum));
	}
	write_notes(disk);
}

/* Answers come in order; -1 when this one does not belong to the oldest job. */
static int job_done(struct disk *disk, const struct helper_answer *answer)
{
	struct disk_job *job = TAILQ_FIRST(&disk->sent);
	if (job == NULL || job->job.id != answer->id || job->job.op != answer->op)
		return -1;
	TAILQ_REMOVE(&disk->sent, job, link);
	switch (job->job.op) {
	case HELPER_READ:
		read_done(disk, job, answer);
		break;
	case HELPER_NOTE:
		note_done(disk, answer);
		break;
	case HELPER_WRITE:
	case HELPER_COPY:
	case HELPER_BEGIN_ZONE:
	case HELPER_SEAL_ZONE:
	case HELPER_SYNC:
		writer_answer(disk, job, answer);
		break;
	case HELPER_OPEN:
		break;
	}
	job_free(job);
	return 0;
}

bool disk_take_answers(struct disk *disk)
{
	for (unsigned i = 0; i < ANSWERS_PER_TURN && disk->socket >= 0; i++) {
		struct err err = ERR_INIT;
		struct helper_answer answer;
		int r = helper_receive(disk->socket, &answer, disk->payload, &err);
		if (r == 0)
			break;
		if (r < 0) {
			disk_fail(disk, err.msg);
			return false;
		}
		disk->progress_ms = disk_now_ms();
		disk->stalled = false;
		if (answer.op == HELPER_OPEN)
			disk_learn(disk, &answer);
		else if (job_done(disk, &answer) < 0)
			disk_fail(disk, "the disk helper answers out of order");
		if (disk->errors >= ERRORS_MAX)
			disk_fail(disk, "too many reads in a row failed");
	}
	if (disk->socket >= 0)
		arm(disk);
	return disk->socket >= 0;
}

/* Reads that waited long enough are misses. A callback may start and cancel others. */
static bool expire_one(struct disk *disk, uint64_t now)
{
	struct disk_job *job;
	struct disk_jobs *queues[] = {&disk->sent, &disk->waiting};
	for (size_t i = 0; i < ARRAY_LEN(queues); i++) {
		TAILQ_FOREACH(job, queues[i], link) {
			if (job->found != NULL && job->deadline_ms <= now) {
				disk->slow++;
				disk->stalled = true;
				answer_read(job, NULL);
				return true;
			}
		}
	}
	return false;
}

void disk_tick(struct disk *disk)
{
	uint64_t now = disk_now_ms();
	while (expire_one(disk, now))
		;
	bool works = !TAILQ_EMPTY(&disk->sent) || disk->state == DISK_OPENING;
	if (works && now - disk->progress_ms >= (uint64_t)disk->read_ms * HANG_FACTOR) {
		disk_fail(disk, "the disk does not answer");
		return;
	}
	if (disk->state == DISK_OPENING && now - disk->started_ms >= disk->read_ms * 10ull)
		disk_say_ready(disk);
	if (disk->writer.unsynced && now - disk->writer.written_ms >= SYNC_MS)
		writer_sync(disk);
	arm(disk);
}

bool disk_has(const struct disk *disk, const struct digest *digest)
{
	return disk_usable(disk) && cache_index_find(&disk->index, digest->bytes) != NULL;
}

int disk_read(struct disk *disk, const struct digest *digest, uint32_t len, disk_read_fn *found,
	void *data, struct disk_job **ret, struct err *err)
{
	const struct index_entry *entry =
		disk->state == DISK_UP ? cache_index_find(&disk->index, digest->bytes) : NULL;
	if (entry == NULL || entry->len != len)
		return 0;
	if (disk->stalled) {
		disk->slow++;
		return 0;
	}
	uint32_t block = entry->block;
	struct disk_job *job = disk_job_new(disk, HELPER_READ);
	if (job == NULL)
		return err_oom(err);
	job->job.block = block;
	job->job.record = (struct layout_record){.digest = *digest, .len = len};
	job->found = found;
	job->data = data;
	job->deadline_ms = disk_now_ms() + disk->read_ms;
	disk_send(disk);
	*ret = job;
	return 1;
}

void disk_write(struct disk *disk, struct cache_chunk *chunk)
{
	if (disk->state == DISK_UP && cache_index_find(&disk->index, chunk->digest.bytes) == NULL)
		writer_add(disk, chunk);
}

void disk_pin(struct disk *disk, const struct cache_pins *pins)
{
	disk->pins = *pins;
	if (disk->state == DISK_UP)
		cache_index_pin(&disk->index, pins);
}

void disk_note_set(struct disk *disk, const char *name, const void *bytes, size_t len)
{
	struct err err = ERR_INIT;
	if (notes_set(&disk->notes, name, bytes, len, &err) < 0)
		log_ignored(&err);
	write_notes(disk);
}
