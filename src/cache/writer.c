/* SPDX-License-Identifier: MIT */
/*
 * The writing end of the log: chunks go one after the other into the active zone; a zone that is
 * full is sealed and the next begun. As soon as no zone is free, one is chosen and what it should
 * keep is copied to the active one, before anything else is written there. So there is always a
 * zone to go on with.
 */
#include "base/log.h"
#include "cache/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OFF_FIRST_MS 30000u
#define OFF_MAX_MS 600000u
#define FULL_ERRORS 4u /* in a row, until a full disk is no better than a broken one */
/* A summary is one packet, and so is what the helper tells of a zone at the start. */
#define ZONE_RECORDS_MAX (HELPER_ENTRIES_MAX - 1)
_Static_assert(sizeof(struct helper_entry) == LAYOUT_ENTRY, "they hold the same");

void writer_init(struct writer *writer, uint64_t pending_max)
{
	*writer = (struct writer){.pending_max = pending_max,
		.active = INDEX_NONE,
		.resume = INDEX_NONE,
		.victim = INDEX_NONE,
		.off_ms = OFF_FIRST_MS};
	TAILQ_INIT(&writer->pending);
}

static void drop_first(struct writer *writer)
{
	struct pending_write *pending = TAILQ_FIRST(&writer->pending);
	TAILQ_REMOVE(&writer->pending, pending, link);
	writer->pending_bytes -= pending->chunk->len;
	cache_chunk_unref(pending->chunk);
	free(pending);
}

void writer_reset(struct writer *writer)
{
	while (!TAILQ_EMPTY(&writer->pending))
		drop_first(writer);
	writer_init(writer, writer->pending_max);
}

/* Goes on in the newest zone, if it is not full. */
void writer_begin(struct disk *disk, uint64_t newest_sequence)
{
	struct writer *writer = &disk->writer;
	writer->next_sequence = newest_sequence + 1;
	for (uint32_t zone = 0; zone < disk->index.zone_count; zone++) {
		if (newest_sequence != 0 && disk->index.zones[zone].sequence == newest_sequence)
			writer->resume = zone;
	}
	writer_pump(disk);
}

void writer_add(struct disk *disk, struct cache_chunk *chunk)
{
	struct writer *writer = &disk->writer;
	if (disk->read_only || disk_now_ms() < writer->off_until_ms ||
		writer->pending_bytes + chunk->len > writer->pending_max)
		return;
	struct pending_write *pending = malloc(sizeof(*pending));
	if (pending == NULL)
		return;
	pending->chunk = cache_chunk_ref(chunk);
	writer->pending_bytes += chunk->len;
	TAILQ_INSERT_TAIL(&writer->pending, pending, link);
	writer_pump(disk);
}

static bool has_room(const struct disk *disk, uint32_t zone, uint32_t len)
{
	const struct index_zone *z = &disk->index.zones[zone];
	return z->count < ZONE_RECORDS_MAX &&
		z->used + layout_record_size(len) + layout_summary_size(z->count + 1) <=
		disk->index.zone_blocks * LAYOUT_BLOCK;
}

static uint64_t active_block(const struct disk *disk)
{
	uint32_t zone = disk->writer.active;
	return (uint64_t)zone * disk->index.zone_blocks +
		disk->index.zones[zone].used / LAYOUT_BLOCK;
}

static struct disk_job *new_job(struct disk *disk, enum helper_op op)
{
	struct disk_job *job = disk_job_new(disk, op);
	if (job != NULL)
		disk->writer.busy = true;
	return job;
}

/* Asks for a zone to go on with. */
static void begin_zone(struct disk *disk)
{
	struct writer *writer = &disk->writer;
	uint32_t zone = writer->resume;
	if (zone == INDEX_NONE && !writer->is_full_disk)
		zone = index_free_zone(&disk->index);
	if (zone == INDEX_NONE) {
		/* No spare, as after a crash while one was made: nothing of it can be kept. */
		zone = cache_index_victim(&disk->index, INDEX_NONE);
		if (zone == INDEX_NONE) {
			while (!TAILQ_EMPTY(&writer->pending))
				drop_first(writer);
			return;
		}
		disk->evicted += index_empty_zone(&disk->index, zone);
	}
	struct disk_job *job = new_job(disk, HELPER_BEGIN_ZONE);
	if (job != NULL)
		job->job.block = zone;
}

static void zone_begun(struct disk *disk, uint32_t zone)
{
	struct writer *writer = &disk->writer;
	writer->active = zone;
	if (writer->resume == zone)
		writer->resume = INDEX_NONE;
	else
		disk->index.zones[zone].sequence = writer->next_sequence++;
	if (index_free_zone(&disk->index) == INDEX_NONE) {
		writer->victim = cache_index_victim(&disk->index, zone);
		writer->copied_bytes = 0;
	}
}

static void seal(struct disk *disk)
{
	struct writer *writer = &disk->writer;
	const struct index_zone *zone = &disk->index.zones[writer->active];
	struct disk_job *job = new_job(disk, HELPER_SEAL_ZONE);
	if (job == NULL)
		return;
	job->job.block = writer->active;
	job->job.to = zone->used;
	job->job.record.sequence = zone->sequence;
	for (uint32_t i = zone->first; i != INDEX_NONE; i = disk->index.entries[i].zone_next) {
		const struct index_entry *entry = &disk->index.entries[i];
		struct err err = ERR_INIT;
		uint8_t bytes[LAYOUT_ENTRY];
		layout_entry_put(
			bytes, entry->key, entry->block % disk->index.zone_blocks, entry->len);
		if (buf_put(&job->payload, bytes, sizeof(bytes), &err) < 0)
			return; /* a shorter summary: the rest is forgotten with the node */
	}
}

/* Copies the next chunk that the victim should keep; false when it is free now. */
static bool clean(struct disk *disk)
{
	struct writer *writer = &disk->writer;
	uint32_t budget = disk->index.zone_blocks * LAYOUT_BLOCK / 4 * 3;
	struct index_entry *keeper = cache_index_keeper(
		&disk->index, writer->victim, writer->copied_bytes >= budget / 2);
	if (keeper == NULL || !has_room(disk, writer->active, keeper->len)) {
		disk->evicted += index_empty_zone(&disk->index, writer->victim);
		writer->victim = INDEX_NONE;
		return false;
	}
	struct disk_job *job = new_job(disk, HELPER_COPY);
	if (job == NULL)
		return true;
	job->job.block = keeper->block;
	job->job.to = active_block(disk);
	job->job.record.len = keeper->len;
	job->job.record.sequence = disk->index.zones[writer->active].sequence;
	memcpy(job->job.record.digest.bytes, keeper->key, CACHE_KEY_SIZE);
	return true;
}

static void write_first(struct disk *disk)
{
	struct writer *writer = &disk->writer;
	struct cache_chunk *chunk = TAILQ_FIRST(&writer->pending)->chunk;
	struct disk_job *job = new_job(disk, HELPER_WRITE);
	if (job == NULL)
		return;
	job->job.block = active_block(disk);
	job->job.record = (struct layout_record){.digest = chunk->digest,
		.len = chunk->len,
		.sequence = disk->index.zones[writer->active].sequence};
	job->chunk = cache_chunk_ref(chunk);
	drop_first(writer);
}

void writer_pump(struct disk *disk)
{
	struct writer *writer = &disk->writer;
	if (disk->state != DISK_UP || disk->read_only || writer->busy ||
		disk_now_ms() < writer->off_until_ms)
		return;
	if (writer->victim == INDEX_NONE || !clean(disk)) {
		struct pending_write *first;
		while ((first = TAILQ_FIRST(&writer->pending)) != NULL &&
			cache_index_find(&disk->index, first->chunk->digest.bytes) != NULL)
			drop_first(writer);
		if (first == NULL)
			return;
		if (writer->active == INDEX_NONE) {
			begin_zone(disk);
		} else if (!has_room(disk, writer->active, first->chunk->len)) {
			seal(disk);
		} else {
			write_first(disk);
		}
	}
	disk_send(disk);
}

void writer_sync(struct disk *disk)
{
	if (disk->state == DISK_UP && !disk->writer.busy && new_job(disk, HELPER_SYNC) != NULL) {
		disk->writer.unsynced = false;
		disk_send(disk);
	}
}

/* A record lies at the end of the active zone now. */
static void written(struct disk *disk, const struct layout_record *record, uint64_t block)
{
	struct index_zone *zone = &disk->index.zones[disk->writer.active];
	cache_index_add(&disk->index, record->digest.bytes, (uint32_t)block, record->len);
	zone->used += layout_record_size(record->len);
	zone->count++;
	disk->writer.unsynced = true;
	disk->writer.written_ms = disk_now_ms();
	disk->writer.off_ms = OFF_FIRST_MS;
	disk->writer.full_errors = 0;
}

/* A full disk means: go on with the zones that are there. Else writing pauses. */
static void failed(struct disk *disk, int errnum)
{
	struct writer *writer = &disk->writer;
	bool is_full =
		(errnum == ENOSPC || errnum == EDQUOT) && ++writer->full_errors < FULL_ERRORS;
	if (!writer->said)
		log_warning("cannot write to the cache '%s': %s, using what is there", disk->path,
			strerror(errnum));
	writer->said = true;
	writer->active = writer->resume = writer->victim = INDEX_NONE;
	if (is_full) {
		writer->is_full_disk = true;
		return;
	}
	while (!TAILQ_EMPTY(&writer->pending))
		drop_first(writer);
	writer->off_until_ms = disk_now_ms() + writer->off_ms;
	writer->off_ms = writer->off_ms * 2 < OFF_MAX_MS ? writer->off_ms * 2 : OFF_MAX_MS;
}

static void copied(
	struct disk *disk, const struct helper_job *job, const struct helper_answer *answer)
{
	if (answer->errnum == 0 && !answer->rotten) {
		disk->writer.copied_bytes += layout_record_size(job->record.len);
		written(disk, &job->record, job->to);
		return;
	}
	struct index_entry *entry = cache_index_find(&disk->index, job->record.digest.bytes);
	if (entry != NULL && entry->block == job->block)
		cache_index_remove(&disk->index, entry);
	disk->rotten += answer->rotten;
	disk->io_errors += answer->errnum != 0;
}

void writer_answer(
	struct disk *disk, const struct disk_job *done, const struct helper_answer *answer)
{
	struct writer *writer = &disk->writer;
	const struct helper_job *job = &done->job;
	writer->busy = false;
	if (job->op == HELPER_COPY) {
		copied(disk, job, answer);
	} else if (answer->errnum != 0) {
		disk->io_errors++;
		failed(disk, answer->errnum);
	} else if (job->op == HELPER_WRITE) {
		written(disk, &job->record, job->block);
	} else if (job->op == HELPER_BEGIN_ZONE) {
		zone_begun(disk, (uint32_t)job->block);
	} else if (job->op == HELPER_SEAL_ZONE) {
		writer->active = INDEX_NONE;
	}
	writer_pump(disk);
}

bool writer_finish(struct disk *disk)
{
	struct writer *writer = &disk->writer;
	if (disk->state != DISK_UP || disk->read_only || disk_now_ms() < writer->off_until_ms)
		return true;
	if (writer->busy || !TAILQ_EMPTY(&writer->pending) || writer->victim != INDEX_NONE)
		return false;
	if (writer->active == INDEX_NONE)
		return true;
	seal(disk);
	disk_send(disk);
	return false;
}
