/* SPDX-License-Identifier: MIT */
/*
 * A queue of toplevels, a thread that takes them in turn, and an eventfd that brings the loop to
 * look at results. The thread alone uses the store and the pool.
 */
#include "serve/builder.h"

#include "base/fd.h"
#include "base/log.h"
#include "serve/user.h"

#include <event2/event.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#define PROGRESS_SECONDS 5

struct job {
	TAILQ_ENTRY(job) entry;
	char *toplevel;
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
	bool stop;
	int wake; /* eventfd */
	struct event *readable;
};

/* Progress as an occasional log line: nobody watches a bar in a server's log. */
struct log_progress {
	struct progress progress;
	const char *step, *unit;
	uint64_t total;
	time_t last;
};

static void progress_begins(
	struct progress *progress, const char *step, uint64_t total, const char *unit)
{
	struct log_progress *p = (struct log_progress *)progress;
	p->step = step;
	p->unit = unit;
	p->total = total;
	p->last = time(NULL);
}

static void progress_updates(struct progress *progress, uint64_t done, const char *subject)
{
	struct log_progress *p = (struct log_progress *)progress;
	(void)subject;
	time_t now = time(NULL);
	if (now - p->last < PROGRESS_SECONDS || p->total == 0)
		return;
	p->last = now;
	log_info("%s: %.0f %% of %llu %s", p->step, 100.0 * (double)done / (double)p->total,
		(unsigned long long)p->total, p->unit);
}

static void progress_ends(struct progress *progress)
{
	(void)progress;
}

/* Opens the maker at first need and keeps it: a store that is not there fails each boot. */
static void work(struct builder *b, struct boot_maker **maker, struct job *job)
{
	struct log_progress progress = {
		.progress = {progress_begins, progress_updates, progress_ends}};
	job->failure = ERR_INIT;
	if (*maker == NULL && boot_maker_open(&b->options, maker, &job->failure) < 0)
		return;
	if (boot_make(*maker, job->toplevel, job->as_default, &progress.progress, &job->boot,
		    &job->failure) < 0)
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
	free(job->toplevel);
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
		b->done(job->toplevel, TAKE_PTR(job->boot), &job->failure, b->data);
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

static bool is_job(const struct job *job, const char *toplevel, bool as_default)
{
	return strcmp(job->toplevel, toplevel) == 0 && job->as_default == as_default;
}

static bool is_asked(const struct builder *b, const char *toplevel, bool as_default)
{
	const struct job *job;
	if (b->current != NULL && is_job(b->current, toplevel, as_default))
		return true;
	TAILQ_FOREACH(job, &b->waiting, entry)
		if (is_job(job, toplevel, as_default))
			return true;
	TAILQ_FOREACH(job, &b->finished, entry)
		if (is_job(job, toplevel, as_default))
			return true;
	return false;
}

int builder_ask(struct builder *b, const char *toplevel, bool as_default, struct err *err)
{
	int r = 0;
	pthread_mutex_lock(&b->lock);
	if (!is_asked(b, toplevel, as_default)) {
		struct job *job = calloc(1, sizeof(*job));
		if (job != NULL)
			job->toplevel = strdup(toplevel);
		if (job == NULL || job->toplevel == NULL) {
			free(job);
			r = err_oom(err);
		} else {
			job->as_default = as_default;
			TAILQ_INSERT_TAIL(&b->waiting, job, entry);
			pthread_cond_signal(&b->asked);
		}
	}
	pthread_mutex_unlock(&b->lock);
	return r;
}
