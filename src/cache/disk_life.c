/* SPDX-License-Identifier: MIT */
/*
 * The helper's life: started, listened to while it opens the volume, given up when it hangs, dies
 * or finds the disk unusable, and started again later, with growing pauses. Each start begins with
 * empty books. A helper that cannot even be killed (it waits for its disk within the kernel) has no
 * successor until it is gone.
 */
#include "cache/disk_life.h"

#include "base/log.h"

#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BACKOFF_FACTOR 2u       /* times the read deadline, first */
#define BACKOFF_MAX_FACTOR 120u /* and at last */
#define STEADY_MS 60000u        /* worked so long: the next failure is a new one */

static void start(struct disk *disk);

void disk_say_ready(struct disk *disk)
{
	void (*ready)(void *data) = disk->ready;
	disk->ready = NULL;
	if (ready != NULL)
		ready(disk->ready_data);
}

static void start_later(struct disk *disk)
{
	uint64_t wait = disk->backoff_ms;
	struct timeval tv = {.tv_sec = (time_t)(wait / 1000), .tv_usec = wait % 1000 * 1000};
	event_add(disk->restart, &tv);
	disk->backoff_ms *= 2;
	if (disk->backoff_ms > disk->read_ms * (uint64_t)BACKOFF_MAX_FACTOR)
		disk->backoff_ms = disk->read_ms * (uint64_t)BACKOFF_MAX_FACTOR;
}

/* True when no helper of ours is left. */
static bool reap(struct disk *disk)
{
	if (disk->pid > 0 && waitpid(disk->pid, NULL, WNOHANG) == 0)
		return false;
	disk->pid = 0;
	return true;
}

static void end_helper(struct disk *disk)
{
	if (disk->readable != NULL)
		event_free(disk->readable);
	if (disk->writable != NULL)
		event_free(disk->writable);
	disk->readable = disk->writable = NULL;
	if (disk->socket >= 0)
		close(disk->socket);
	disk->socket = -1;
	if (disk->pid > 0)
		kill(disk->pid, SIGKILL);
	event_del(disk->timer);
}

void disk_fail(struct disk *disk, const char *why)
{
	uint64_t now = disk_now_ms();
	if (disk->state == DISK_UP && now - disk->started_ms > STEADY_MS) {
		disk->said = disk->said_again = false;
		disk->backoff_ms = (uint64_t)disk->read_ms * BACKOFF_FACTOR;
	}
	if (!disk->said)
		log_warning("%s, using memory instead of '%s'", why, disk->path);
	disk->said = true;
	end_helper(disk);
	disk->state = DISK_DOWN;
	disk->stalled = disk->note_busy = false;
	disk->errors = 0;
	cache_index_done(&disk->index);
	writer_reset(&disk->writer);
	start_later(disk);
	disk_drop_jobs(disk);
	disk_say_ready(disk);
}

static void learn_volume(struct disk *disk, const struct helper_answer *answer)
{
	struct err err = ERR_INIT;
	if (cache_index_init(&disk->index, answer->zone_bytes, answer->zone_count, &err) < 0) {
		disk_fail(disk, err.msg);
		return;
	}
	disk->index.pins = disk->pins;
	disk->read_only = answer->read_only;
}

/* The books may be told nonsense, since a disk may hold any: nothing outside of a zone counts. */
static void learn_zone(struct disk *disk, const struct helper_answer *answer)
{
	if (disk->index.zones == NULL || answer->zone >= disk->index.zone_count)
		return;
	struct index_zone *zone = &disk->index.zones[answer->zone];
	uint32_t base = answer->zone * disk->index.zone_blocks;
	if (answer->errnum != 0)
		disk->io_errors++;
	zone->sequence = answer->sequence;
	zone->used = answer->used;
	zone->count = answer->count;
	for (size_t i = 0; i < answer->size / sizeof(struct helper_entry); i++) {
		struct helper_entry entry;
		memcpy(&entry, disk->payload + i * sizeof(entry), sizeof(entry));
		if (entry.block < disk->index.zone_blocks)
			cache_index_add(&disk->index, entry.key, base + entry.block, entry.len);
	}
}

static void learn_end(struct disk *disk, const struct helper_answer *answer)
{
	if (answer->errnum != 0 || disk->index.zones == NULL) {
		char why[2048];
		snprintf(why, sizeof(why), "%.*s", (int)answer->size, (const char *)disk->payload);
		disk_fail(disk, why);
		return;
	}
	uint64_t newest = 0;
	for (uint32_t i = 0; i < disk->index.zone_count; i++) {
		if (disk->index.zones[i].sequence > newest)
			newest = disk->index.zones[i].sequence;
	}
	if (disk->said && !disk->said_again)
		log_info("using the cache '%s' again", disk->path);
	disk->said_again = disk->said;
	disk->state = DISK_UP;
	cache_index_pin(&disk->index, &disk->pins);
	writer_begin(disk, newest);
	disk_opened(disk);
	disk_say_ready(disk);
}

void disk_learn(struct disk *disk, const struct helper_answer *answer)
{
	struct err err = ERR_INIT;
	if (disk->state != DISK_OPENING)
		return;
	switch (answer->fact) {
	case HELPER_FACT_VOLUME:
		learn_volume(disk, answer);
		break;
	case HELPER_FACT_NOTE:
		if (notes_load(&disk->notes, &answer->note, answer->zone, disk->payload, &err) < 0)
			log_ignored(&err);
		break;
	case HELPER_FACT_ZONE:
		learn_zone(disk, answer);
		break;
	case HELPER_FACT_NONE:
		learn_end(disk, answer);
		break;
	}
}

static void on_readable(evutil_socket_t fd, short events, void *data)
{
	(void)fd;
	(void)events;
	disk_take_answers(data);
}

static void on_writable(evutil_socket_t fd, short events, void *data)
{
	(void)fd;
	(void)events;
	disk_send(data);
}

static void on_timer(evutil_socket_t fd, short events, void *data)
{
	(void)fd;
	(void)events;
	disk_tick(data);
}

static void on_restart(evutil_socket_t fd, short events, void *data)
{
	(void)fd;
	(void)events;
	struct disk *disk = data;
	if (reap(disk))
		start(disk);
	else
		start_later(disk);
}

static void start(struct disk *disk)
{
	struct err err = ERR_INIT;
	disk->started_ms = disk->progress_ms = disk_now_ms();
	disk->state = DISK_OPENING;
	if (helper_start(disk->path, disk->max, &disk->pid, &disk->socket, &err) < 0) {
		disk_fail(disk, err.msg);
		return;
	}
	disk->readable =
		event_new(disk->base, disk->socket, EV_READ | EV_PERSIST, on_readable, disk);
	disk->writable = event_new(disk->base, disk->socket, EV_WRITE, on_writable, disk);
	if (disk->readable == NULL || disk->writable == NULL ||
		event_add(disk->readable, NULL) < 0) {
		disk_fail(disk, "cannot listen to the disk helper");
		return;
	}
	disk_send(disk);
}

int disk_new(struct event_base *base, const struct disk_params *params, struct disk **ret,
	struct err *err)
{
	struct disk *disk = calloc(1, sizeof(*disk));
	if (disk == NULL)
		return err_oom(err);
	disk->base = base;
	disk->max = params->max;
	disk->read_ms = params->read_ms != 0 ? params->read_ms : 500;
	disk->backoff_ms = (uint64_t)disk->read_ms * BACKOFF_FACTOR;
	disk->ready = params->ready;
	disk->ready_data = params->data;
	disk->socket = -1;
	TAILQ_INIT(&disk->sent);
	TAILQ_INIT(&disk->waiting);
	writer_init(&disk->writer, params->pending_max);
	disk->path = strdup(params->path);
	disk->timer = evtimer_new(base, on_timer, disk);
	disk->restart = evtimer_new(base, on_restart, disk);
	if (disk->path == NULL || disk->timer == NULL || disk->restart == NULL) {
		disk_free(disk, 0);
		return err_oom(err);
	}
	/* From the loop, so that `ready` is not called before the owner has the cache. */
	event_active(disk->restart, EV_TIMEOUT, 0);
	*ret = disk;
	return 0;
}

/* Answers are taken without the loop, which may be the one that called us. */
static void finish(struct disk *disk, unsigned wait_ms)
{
	uint64_t now = disk_now_ms(), end = now + wait_ms;
	while (disk->state == DISK_UP && now < end) {
		if (writer_finish(disk) && TAILQ_EMPTY(&disk->sent) && TAILQ_EMPTY(&disk->waiting))
			return;
		struct pollfd fd = {.fd = disk->socket,
			.events = TAILQ_EMPTY(&disk->waiting) ? POLLIN : POLLIN | POLLOUT};
		if (poll(&fd, 1, (int)(end - now)) > 0 && fd.revents & ~POLLOUT &&
			!disk_take_answers(disk))
			return;
		disk_send(disk);
		now = disk_now_ms();
	}
}

struct disk *disk_free(struct disk *disk, unsigned wait_ms)
{
	if (disk == NULL)
		return NULL;
	struct disk_job *job;
	TAILQ_FOREACH(job, &disk->sent, link)
		job->found = NULL;
	TAILQ_FOREACH(job, &disk->waiting, link)
		job->found = NULL;
	disk->ready = NULL;
	if (wait_ms > 0)
		finish(disk, wait_ms);
	if (disk->timer != NULL)
		end_helper(disk);
	disk_drop_jobs(disk);
	for (unsigned i = 0; i < 20 && !reap(disk); i++)
		poll(NULL, 0, 5);
	if (disk->timer != NULL)
		event_free(disk->timer);
	if (disk->restart != NULL)
		event_free(disk->restart);
	writer_reset(&disk->writer);
	notes_done(&disk->notes);
	cache_index_done(&disk->index);
	free(disk->path);
	free(disk);
	return NULL;
}
