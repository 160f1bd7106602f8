/* SPDX-License-Identifier: MIT */
/*
 * Threads and blocks. It knows nothing of files or of what a task does with its blocks; that the
 * bytes do not depend on which thread did what is due to tasks taking their blocks back in the
 * order they gave them.
 */
#include "pool/crew.h"

#include "base/mem.h"
#include "tree/tree.h"

#include <pthread.h>
#include <string.h>
#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_c_useRowMatchFinder */
#include <zstd.h>

#define SLOTS_PER_HAND 8

struct hand {
	struct crew *crew;
	ZSTD_CCtx *zstd;
	uint8_t *scratch[2];
	pthread_t thread;
};

struct crew {
	pthread_mutex_t lock;
	pthread_cond_t work;   /* a block was submitted, or the last task ended */
	pthread_cond_t change; /* a block is done, or a slot is free */
	struct slot *queue, **queue_end;
	struct slot *free;
	struct slot *slots;
	struct hand *hands;
	unsigned jobs, tasks_running;
	int level;
	size_t next_task, task_count;
	crew_task_fn *task;
	void *data;
	struct err failure;
	bool failed;
};

/*
 * zstd up to 1.5.6 chooses its match finder for levels 5 to 12 by whether the processor has 128-bit
 * SIMD (ZSTD_resolveRowMatchFinderMode()), and the two give different bytes. A segment must be the
 * same everywhere, so the choice of a machine that has SIMD is made for all. A block that could not
 * be compressed leaves its frame open, and parameters can only be set between frames.
 */
static size_t set_match_finder(ZSTD_CCtx *zstd, uint32_t in_len)
{
	(void)ZSTD_CCtx_reset(zstd, ZSTD_reset_session_only); /* cannot fail */
	return ZSTD_CCtx_setParameter(zstd, ZSTD_c_useRowMatchFinder,
		in_len > (1u << 14) ? ZSTD_ps_enable : ZSTD_ps_disable);
}

/* Stored raw unless that saves at least a byte, as squashfs wants it. */
static void compress_slot(const struct hand *hand, struct slot *slot)
{
	size_t len = set_match_finder(hand->zstd, slot->in_len);
	if (!ZSTD_isError(len))
		len = ZSTD_compress2(
			hand->zstd, slot->out, slot->in_len - 1, slot->in, slot->in_len);
	slot->word = ZSTD_isError(len) ? slot->in_len | TREE_BLOCK_RAW : (uint32_t)len;
}

/* Takes a block from the queue, the hand's own first; NULL when it is empty. Under the lock. */
static struct slot *take_block(struct hand *hand)
{
	struct crew *crew = hand->crew;
	struct slot **at = &crew->queue;
	while (*at != NULL && (*at)->owner != hand)
		at = &(*at)->next;
	if (*at == NULL)
		at = &crew->queue;
	struct slot *slot = *at;
	if (slot == NULL)
		return NULL;
	*at = slot->next;
	if (slot->next == NULL)
		crew->queue_end = at;
	return slot;
}

/* Compresses one block, if there is any to be done. Under the lock, which it drops meanwhile. */
static bool help(struct hand *hand)
{
	struct crew *crew = hand->crew;
	struct slot *slot = take_block(hand);
	if (slot == NULL)
		return false;
	pthread_mutex_unlock(&crew->lock);
	compress_slot(hand, slot);
	pthread_mutex_lock(&crew->lock);
	__atomic_store_n(&slot->done, true, __ATOMIC_RELEASE);
	if (slot->owner != hand)
		pthread_cond_broadcast(&crew->change);
	return true;
}

bool crew_stopped(struct hand *hand)
{
	return __atomic_load_n(&hand->crew->failed, __ATOMIC_RELAXED);
}

uint8_t **crew_scratch(struct hand *hand)
{
	return hand->scratch;
}

/* Under the lock. */
static struct slot *pop_free(struct hand *hand)
{
	struct slot *slot = hand->crew->free;
	if (slot == NULL)
		return NULL;
	hand->crew->free = slot->next;
	slot->done = false;
	slot->owner = hand;
	return slot;
}

struct slot *crew_try_slot(struct hand *hand)
{
	pthread_mutex_lock(&hand->crew->lock);
	struct slot *slot = pop_free(hand);
	pthread_mutex_unlock(&hand->crew->lock);
	return slot;
}

struct slot *crew_wait_slot(struct hand *hand)
{
	struct crew *crew = hand->crew;
	struct slot *slot;
	pthread_mutex_lock(&crew->lock);
	while ((slot = pop_free(hand)) == NULL)
		if (!help(hand))
			pthread_cond_wait(&crew->change, &crew->lock);
	pthread_mutex_unlock(&crew->lock);
	return slot;
}

void crew_submit(struct hand *hand, struct slot *slot)
{
	struct crew *crew = hand->crew;
	pthread_mutex_lock(&crew->lock);
	slot->next = NULL;
	*crew->queue_end = slot;
	crew->queue_end = &slot->next;
	pthread_cond_signal(&crew->work);
	pthread_mutex_unlock(&crew->lock);
}

bool crew_is_done(const struct slot *slot)
{
	return __atomic_load_n(&slot->done, __ATOMIC_ACQUIRE);
}

void crew_wait(struct hand *hand, struct slot *slot)
{
	struct crew *crew = hand->crew;
	pthread_mutex_lock(&crew->lock);
	while (!slot->done)
		if (!help(hand))
			pthread_cond_wait(&crew->change, &crew->lock);
	pthread_mutex_unlock(&crew->lock);
}

void crew_release(struct hand *hand, struct slot *slot)
{
	struct crew *crew = hand->crew;
	pthread_mutex_lock(&crew->lock);
	slot->next = crew->free;
	crew->free = slot;
	pthread_cond_broadcast(&crew->change);
	pthread_mutex_unlock(&crew->lock);
}

/* Runs a task. Under the lock, which it drops meanwhile. */
static void run_task(struct hand *hand, size_t i)
{
	struct crew *crew = hand->crew;
	struct err err = ERR_INIT;
	crew->tasks_running++;
	pthread_mutex_unlock(&crew->lock);
	int r = crew->task(crew->data, hand, i, &err);
	pthread_mutex_lock(&crew->lock);
	crew->tasks_running--;
	if (r < 0 && !crew->failed) {
		crew->failure = err;
		__atomic_store_n(&crew->failed, true, __ATOMIC_RELAXED);
	}
	if (crew->tasks_running == 0)
		pthread_cond_broadcast(&crew->work);
}

static void *work(void *arg)
{
	struct hand *hand = arg;
	struct crew *crew = hand->crew;
	pthread_mutex_lock(&crew->lock);
	for (;;) {
		if (!crew->failed && crew->next_task < crew->task_count)
			run_task(hand, crew->next_task++);
		else if (help(hand))
			continue;
		else if (crew->tasks_running == 0)
			break;
		else
			pthread_cond_wait(&crew->work, &crew->lock);
	}
	pthread_mutex_unlock(&crew->lock);
	return NULL;
}

static void crew_done(struct crew *crew)
{
	for (unsigned i = 0; crew->slots != NULL && i < crew->jobs * SLOTS_PER_HAND; i++) {
		free(crew->slots[i].in);
		free(crew->slots[i].out);
	}
	for (unsigned i = 0; crew->hands != NULL && i < crew->jobs; i++) {
		ZSTD_freeCCtx(crew->hands[i].zstd);
		free(crew->hands[i].scratch[0]);
		free(crew->hands[i].scratch[1]);
	}
	free(crew->slots);
	free(crew->hands);
	pthread_cond_destroy(&crew->change);
	pthread_cond_destroy(&crew->work);
	pthread_mutex_destroy(&crew->lock);
}

static int init_hand(struct crew *crew, struct hand *hand, struct err *err)
{
	hand->crew = crew;
	hand->zstd = ZSTD_createCCtx();
	hand->scratch[0] = malloc(TREE_BLOCK_SIZE + 1);
	hand->scratch[1] = malloc(TREE_BLOCK_SIZE + 1);
	if (hand->zstd == NULL || hand->scratch[0] == NULL || hand->scratch[1] == NULL)
		return err_oom(err);
	if (ZSTD_isError(
		    ZSTD_CCtx_setParameter(hand->zstd, ZSTD_c_compressionLevel, crew->level)) ||
		ZSTD_isError(set_match_finder(hand->zstd, TREE_BLOCK_SIZE)))
		return err_raise(err, ERR_UNSUPPORTED, "zstd %s refuses level %d",
			ZSTD_versionString(), crew->level);
	return 0;
}

static int crew_init(struct crew *crew, struct err *err)
{
	pthread_mutex_init(&crew->lock, NULL);
	pthread_cond_init(&crew->work, NULL);
	pthread_cond_init(&crew->change, NULL);
	crew->queue_end = &crew->queue;
	unsigned slot_count = crew->jobs * SLOTS_PER_HAND;
	crew->slots = calloc(slot_count, sizeof(*crew->slots));
	crew->hands = calloc(crew->jobs, sizeof(*crew->hands));
	if (crew->slots == NULL || crew->hands == NULL)
		return err_oom(err);
	for (unsigned i = 0; i < slot_count; i++) {
		struct slot *slot = &crew->slots[i];
		slot->in = malloc(TREE_BLOCK_SIZE);
		slot->out = malloc(TREE_BLOCK_SIZE);
		if (slot->in == NULL || slot->out == NULL)
			return err_oom(err);
		slot->next = crew->free;
		crew->free = slot;
	}
	for (unsigned i = 0; i < crew->jobs; i++)
		if (init_hand(crew, &crew->hands[i], err) < 0)
			return -1;
	return 0;
}

int crew_run(const struct crew_params *params, size_t count, crew_task_fn *task, void *data,
	struct err *err)
{
	AUTO(crew_done)
	struct crew crew = {.level = params->level,
		.jobs = params->jobs,
		.task = task,
		.data = data,
		.task_count = count};
	if (crew_init(&crew, err) < 0)
		return -1;
	/* The caller is the first hand; fewer threads than asked for are still enough. */
	unsigned started = 1;
	for (; started < crew.jobs; started++)
		if (pthread_create(&crew.hands[started].thread, NULL, work, &crew.hands[started]) !=
			0)
			break;
	work(&crew.hands[0]);
	for (unsigned i = 1; i < started; i++)
		pthread_join(crew.hands[i].thread, NULL);
	if (!crew.failed)
		return 0;
	*err = crew.failure;
	return -1;
}
