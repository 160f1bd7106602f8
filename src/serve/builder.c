/* SPDX-License-Identifier: MIT */
/*
 * A queue of systems, a thread that takes them in turn, and an eventfd that brings the loop to
 * look at results. The thread alone uses the store and the pool.
 */
#include "serve/builder.h"

#include "base/fd.h"
#include "base/log.h"
#include "serve/user.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#define PROGRESS_SECONDS 5

struct job {
	TAILQ_ENTRY(job) entry;
	char *key, *system, *specialisation; /* the latter may be NULL */
	bool as_default;
	struct boot *boot;
	struct err failure;
};
TAILQ_HEAD(job_list, job);

struct builder {
	struct boot_options options;
	builder_done_fn *done;
	void *data;
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t asked;
	struct job_list waiting, finished;
	struct job *current;
	char status[BUILDER_STATUS_SIZE]; /* of the current one */
	bool stop;
	int wake; /* eventfd */
	struct event *readable;
};

/* Progress as an occasional log line: nobody watches a bar in a server's log. Clients are told,
 * too.
 */
struct log_progress {
	struct progress progress;
	struct builder *builder;
	const char *step, *unit;
	uint64_t total;
	time_t last;
	double begun; /* seconds, by the monotonic clock */
};

static double now_s(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void say(struct log_progress *p, uint64_t done)
{
	bool bytes = strcmp(p->unit, "bytes") == 0;
	unsigned long long amount = p->total > 0 ? p->total : done;
	char percent[16] = "", text[PROGRESS_PACE_SIZE];
	const struct progress_pace pace = {
		.done = done, .total = p->total, .seconds = now_s() - p->begun, .unit = p->unit};
	if (p->total > 0)
		snprintf(percent, sizeof(percent), "%.0f %% of ",
			100.0 * (double)done / (double)p->total);
	progress_pace_text(&pace, text);
	pthread_mutex_lock(&p->builder->lock);
	snprintf(p->builder->status, BUILDER_STATUS_SIZE, "%s: %s%llu %s%s", p->step, percent,
		bytes ? amount >> 20 : amount, bytes ? "MiB" : p->unit, text);
	pthread_mutex_unlock(&p->builder->lock);
}

static void progress_begins(
	struct progress *progress, const char *step, uint64_t total, const char *unit)
{
	struct log_progress *p = (struct log_progress *)progress;
	p->step = step;
	p->unit = unit;
	p->total = total;
	p->last = time(NULL);
	p->begun = now_s();
	say(p, 0);
}

static void progress_updates(struct progress *progress, uint64_t done, const char *subject)
{
	struct log_progress *p = (struct log_progress *)progress;
	(void)subject;
	time_t now = time(NULL);
	if (now == p->last)
		return;
	say(p, done);
	if (now / PROGRESS_SECONDS != p->last / PROGRESS_SECONDS)
		log_info("%s", p->builder->status); /* nobody else writes it */
	p->last = now;
}

static void progress_ends(struct progress *progress)
{
	struct log_progress *p = (struct log_progress *)progress;
	pthread_mutex_lock(&p->builder->lock);
	p->builder->status[0] = '\0';
	pthread_mutex_unlock(&p->builder->lock);
}

void builder_status(struct builder *b, const char *key, char out[BUILDER_STATUS_SIZE])
{
	pthread_mutex_lock(&b->lock);
	bool current = b->current != NULL && strcmp(b->current->key, key) == 0;
	snprintf(out, BUILDER_STATUS_SIZE, "%s", current ? b->status : "");
	pthread_mutex_unlock(&b->lock);
}

/* Opens the maker at first need and keeps it: a store that is not there fails each boot. */
static void work(struct builder *b, struct boot_maker **maker, struct job *job)
{
	struct log_progress progress = {
		.progress = {progress_begins, progress_updates, progress_ends}, .builder = b};
	const struct boot_source source = {.system = job->system,
		.specialisation = job->specialisation,
		.as_default = job->as_default};
	job->failure = ERR_INIT;
	if (*maker == NULL && boot_maker_open(&b->options, maker, &job->failure) < 0)
		return;
	if (boot_make(*maker, &source, &progress.progress, &job->boot, &job->failure) < 0)
		job->boot = NULL;
}

static void *run(void *data)
{
	struct builder *b = data;
	struct boot_maker *maker = NULL;
	struct err err = ERR_INIT;
	if (user_drop_privileges(&err) < 0) /* each thread has its own */
		log_ignored(&err);
	pthread_mutex_lock(&b->lock);
	while (!b->stop) {
		struct job *job = TAILQ_FIRST(&b->waiting);
		if (job == NULL) {
			pthread_cond_wait(&b->asked, &b->lock);
			continue;
		}
		TAILQ_REMOVE(&b->waiting, job, entry);
		b->current = job;
		pthread_mutex_unlock(&b->lock);
		work(b, &maker, job);
		pthread_mutex_lock(&b->lock);
		b->current = NULL;
		TAILQ_INSERT_TAIL(&b->finished, job, entry);
		(void)eventfd_write(b->wake, 1); /* fails only when the counter is full: awake */
	}
	pthread_mutex_unlock(&b->lock);
	boot_maker_close(maker);
	return NULL;
}

static void job_free(struct job *job)
{
	boot_unref(job->boot);
	free(job->key);
	free(job->system);
	free(job->specialisation);
	free(job);
}

static void on_wake(evutil_socket_t fd, short what, void *data)
{
	(void)what;
	struct builder *b = data;
	eventfd_t count;
	(void)eventfd_read(fd, &count); /* the list says what there is to do */
	struct job_list finished = TAILQ_HEAD_INITIALIZER(finished);
	pthread_mutex_lock(&b->lock);
	TAILQ_CONCAT(&finished, &b->finished, entry);
	pthread_mutex_unlock(&b->lock);
	for (struct job *job; (job = TAILQ_FIRST(&finished)) != NULL;) {
		TAILQ_REMOVE(&finished, job, entry);
		b->done(job->key, TAKE_PTR(job->boot), &job->failure, b->data);
		job_free(job);
	}
}

int builder_new(struct event_base *base, const struct boot_options *options, builder_done_fn *done,
	void *data, struct builder **ret, struct err *err)
{
	struct builder *b = calloc(1, sizeof(*b));
	if (b == NULL)
		return err_oom(err);
	b->options = *options;
	b->done = done;
	b->data = data;
	TAILQ_INIT(&b->waiting);
	TAILQ_INIT(&b->finished);
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->asked, NULL);
	b->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b->wake >= 0)
		b->readable = event_new(base, b->wake, EV_READ | EV_PERSIST, on_wake, b);
	int r = EAGAIN;
	if (b->readable != NULL && event_add(b->readable, NULL) == 0)
		r = pthread_create(&b->thread, NULL, run, b);
	if (r == 0) {
		*ret = b;
		return 0;
	}
	if (b->readable != NULL)
		event_free(b->readable);
	fd_close_ptr(&b->wake);
	free(b);
	return err_errno(err, r, "cannot start the building thread");
}

struct builder *builder_free(struct builder *b)
{
	if (b == NULL)
		return NULL;
	event_free(b->readable);
	pthread_mutex_lock(&b->lock);
	b->stop = true;
	bool busy = b->current != NULL;
	pthread_cond_signal(&b->asked);
	pthread_mutex_unlock(&b->lock);
	if (busy) {
		pthread_detach(b->thread);
		return NULL;
	}
	pthread_join(b->thread, NULL);
	struct job_list *lists[] = {&b->waiting, &b->finished};
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		for (struct job *job; (job = TAILQ_FIRST(lists[i])) != NULL;) {
			TAILQ_REMOVE(lists[i], job, entry);
			job_free(job);
		}
	}
	fd_close_ptr(&b->wake);
	pthread_mutex_destroy(&b->lock);
	pthread_cond_destroy(&b->asked);
	free(b);
	return NULL;
}

bool builder_is_busy(struct builder *b)
{
	pthread_mutex_lock(&b->lock);
	bool busy = b->current != NULL;
	pthread_mutex_unlock(&b->lock);
	return busy;
}

static bool is_job(const struct job *job, const char *key, bool as_default)
{
	return strcmp(job->key, key) == 0 && job->as_default == as_default;
}

static bool is_asked(const struct builder *b, const char *key, bool as_default)
{
	const struct job *job;
	if (b->current != NULL && is_job(b->current, key, as_default))
		return true;
	TAILQ_FOREACH(job, &b->waiting, entry)
		if (is_job(job, key, as_default))
			return true;
	TAILQ_FOREACH(job, &b->finished, entry)
		if (is_job(job, key, as_default))
			return true;
	return false;
}

static struct job *job_new(const char *key, const struct boot_source *source)
{
	struct job *job = calloc(1, sizeof(*job));
	if (job == NULL)
		return NULL;
	const char *specialisation = source->specialisation;
	job->as_default = source->as_default;
	job->key = strdup(key);
	job->system = strdup(source->system);
	job->specialisation = specialisation != NULL ? strdup(specialisation) : NULL;
	if (job->key != NULL && job->system != NULL &&
		(specialisation == NULL || job->specialisation != NULL))
		return job;
	job_free(job);
	return NULL;
}

int builder_ask(
	struct builder *b, const char *key, const struct boot_source *source, struct err *err)
{
	int r = 0;
	pthread_mutex_lock(&b->lock);
	if (!is_asked(b, key, source->as_default)) {
		struct job *job = job_new(key, source);
		if (job != NULL) {
			TAILQ_INSERT_TAIL(&b->waiting, job, entry);
			pthread_cond_signal(&b->asked);
		} else {
			r = err_oom(err);
		}
	}
	pthread_mutex_unlock(&b->lock);
	return r;
}
