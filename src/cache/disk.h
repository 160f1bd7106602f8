/* SPDX-License-Identifier: MIT */
#ifndef CACHE_DISK_H
#define CACHE_DISK_H

/*
 * The disk tier in the node: the helper's life, the jobs it was given, and what it holds. A disk
 * that is not there, slow, broken or gone is one that has nothing.
 */

#include "cache/helper.h"
#include "cache/index.h"
#include "cache/notes.h"

#include <sys/queue.h>

struct event;
struct event_base;
struct disk;

/* The chunk, verified, the reference is the callee's; or NULL. */
typedef void disk_read_fn(struct cache_chunk *take_chunk, void *data);

/* One job that is with the helper or waits to be sent. */
struct disk_job {
	TAILQ_ENTRY(disk_job) link;
	struct helper_job job;
	struct cache_chunk *chunk; /* to write */
	struct buf payload;        /* to seal, to note */
	disk_read_fn *found;       /* read: NULL when nobody waits any more */
	void *data;
	uint64_t deadline_ms;
};
TAILQ_HEAD(disk_jobs, disk_job);

enum disk_state { DISK_DOWN, DISK_OPENING, DISK_UP };

struct pending_write {
	TAILQ_ENTRY(pending_write) link;
	struct cache_chunk *chunk;
};
TAILQ_HEAD(pending_writes, pending_write);

/* The log's writing end: writer.c. One job is under way at a time, so that reads wait for little.
 */
struct writer {
	struct pending_writes pending;
	uint64_t pending_bytes, pending_max;
	bool busy;
	bool is_full_disk; /* ENOSPC: zones never written stay so */
	unsigned full_errors;
	bool said; /* logged why nothing is written */
	bool unsynced;
	uint32_t active, resume, victim; /* zones, or INDEX_NONE */
	uint32_t copied_bytes;           /* out of the victim */
	uint64_t next_sequence;
	uint64_t written_ms;           /* last */
	uint64_t off_until_ms, off_ms; /* after a failure nothing is written for a while */
};

struct disk {
	struct event_base *base;
	char *path;
	uint64_t max;
	unsigned read_ms;
	void (*ready)(void *data); /* NULL once called */
	void *ready_data;

	enum disk_state state;
	pid_t pid; /* 0: none, or not reaped yet when the socket is closed */
	int socket;
	struct event *readable, *writable, *timer, *restart;
	struct disk_jobs sent, waiting;
	uint32_t next_id;
	uint64_t started_ms, progress_ms; /* of the helper, of its last answer */
	uint64_t backoff_ms;
	unsigned errors; /* reads in a row that failed */
	bool stalled;    /* a read was too late, and no answer has come since */
	bool said;       /* logged why there is no disk */
	bool said_again; /* and that there is one again */
	bool read_only;
	bool note_busy;
	uint8_t payload[HELPER_PAYLOAD_MAX];

	struct index index;
	struct writer writer;
	struct notes notes;
	struct cache_pins pins;
	uint64_t rotten, slow, io_errors, evicted;
};

struct disk_params {
	const char *path;
	uint64_t max, pending_max; /* bytes */
	unsigned read_ms;
	void (*ready)(void *data); /* once, from the loop: usable, or not for now */
	void *data;
};
/* Starts opening. ERR_NOMEM, ERR_BUG. */
int disk_new(struct event_base *base, const struct disk_params *params, struct disk **ret,
	struct err *err);
/* Writes out what waits, for at most wait_ms. NULL is fine; returns NULL. */
struct disk *disk_free(struct disk *disk, unsigned wait_ms);

static inline bool disk_usable(const struct disk *disk)
{
	return disk->state == DISK_UP && !disk->stalled;
}
bool disk_has(const struct disk *disk, const struct digest *digest);
/* Reads: 1 and *ret, `found` is called later; 0 when the disk does not have it. ERR_NOMEM. */
int disk_read(struct disk *disk, const struct digest *digest, uint32_t len, disk_read_fn *found,
	void *data, struct disk_job **ret, struct err *err);
void disk_write(struct disk *disk, struct cache_chunk *chunk);
void disk_pin(struct disk *disk, const struct cache_pins *pins);
void disk_note_set(struct disk *disk, const char *name, const void *bytes, size_t len);

/* For writer.c. A job that is to be sent, of the queue's then; NULL without memory. */
struct disk_job *disk_job_new(struct disk *disk, enum helper_op op);
void disk_send(struct disk *disk);
uint64_t disk_now_ms(void);

void writer_init(struct writer *writer, uint64_t pending_max);
/* The volume is open and its index complete. */
void writer_begin(struct disk *disk, uint64_t newest_sequence);
/* The helper is gone: nothing is under way. */
void writer_reset(struct writer *writer);
void writer_add(struct disk *disk, struct cache_chunk *chunk);
/* Gives the helper the next job, if there is one. */
void writer_pump(struct disk *disk);
/* Has what was written go to the medium. */
void writer_sync(struct disk *disk);
void writer_answer(
	struct disk *disk, const struct disk_job *job, const struct helper_answer *answer);
/* Gives the last jobs: the zone's summary. True when there is nothing more to wait for. */
bool writer_finish(struct disk *disk);

#endif
