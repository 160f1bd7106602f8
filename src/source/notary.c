/* SPDX-License-Identifier: MIT */
/* A queue of answers, and some threads that take them in order. */
#include "source/notary.h"

#include <pthread.h>
#include <unistd.h>

#define THREADS_MAX 4

struct notary {
	const struct trust *trust;
	pthread_mutex_t lock;
	pthread_cond_t work;   /* an answer was handed in, or it is to end */
	pthread_cond_t change; /* an answer is judged */
	pthread_t threads[THREADS_MAX];
	unsigned started;
	struct answer *queue[NOTARY_MAX];
	size_t put, taken; /* in all */
	bool closing;
};

void answer_done(struct answer *answer)
{
	cached_path_done(&answer->path);
	*answer = (struct answer){0};
}

static void *run(void *data)
{
	struct notary *n = data;
	pthread_mutex_lock(&n->lock);
	for (;;) {
		while (n->put == n->taken && !n->closing)
			pthread_cond_wait(&n->work, &n->lock);
		if (n->closing)
			break;
		struct answer *answer = n->queue[n->taken++ % NOTARY_MAX];
		pthread_mutex_unlock(&n->lock);
		(void)cached_path_judge(
			n->trust, answer->url, &answer->path, &answer->failure); /* is looked at */
		pthread_mutex_lock(&n->lock);
		answer->judged = true;
		pthread_cond_signal(&n->change);
	}
	pthread_mutex_unlock(&n->lock);
	return NULL;
}

int notary_new(const struct trust *trust, struct notary **ret, struct err *err)
{
	struct notary *n = calloc(1, sizeof(*n));
	if (n == NULL)
		return err_oom(err);
	n->trust = trust;
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->work, NULL);
	pthread_cond_init(&n->change, NULL);
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	int errnum = 0;
	while (n->started < THREADS_MAX && (n->started == 0 || n->started < cores) && errnum == 0) {
		errnum = pthread_create(&n->threads[n->started], NULL, run, n);
		n->started += errnum == 0;
	}
	if (n->started > 0) { /* fewer than wanted do as well */
		*ret = n;
		return 0;
	}
	notary_free(n);
	return err_errno(err, errnum, "cannot start a thread");
}

struct notary *notary_free(struct notary *n)
{
	if (n == NULL)
		return NULL;
	pthread_mutex_lock(&n->lock);
	n->closing = true;
	pthread_cond_broadcast(&n->work);
	pthread_mutex_unlock(&n->lock);
	for (unsigned i = 0; i < n->started; i++)
		pthread_join(n->threads[i], NULL);
	pthread_cond_destroy(&n->change);
	pthread_cond_destroy(&n->work);
	pthread_mutex_destroy(&n->lock);
	free(n);
	return NULL;
}

void notary_submit(struct notary *n, struct answer *answer)
{
	pthread_mutex_lock(&n->lock);
	n->queue[n->put++ % NOTARY_MAX] = answer;
	pthread_cond_signal(&n->work);
	pthread_mutex_unlock(&n->lock);
}

bool notary_has_judged(struct notary *n, const struct answer *answer)
{
	pthread_mutex_lock(&n->lock);
	bool judged = answer->judged;
	pthread_mutex_unlock(&n->lock);
	return judged;
}

void notary_await(struct notary *n, const struct answer *answer)
{
	pthread_mutex_lock(&n->lock);
	while (!answer->judged)
		pthread_cond_wait(&n->change, &n->lock);
	pthread_mutex_unlock(&n->lock);
}
