/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_CACHE_LAB_H
#define TESTS_UNIT_CACHE_LAB_H

/* A cache on a loop of its own, and chunks that can be made again from their number. */

#include "base/log.h"
#include "base/path.h"
#include "cache/cache.h"
#include "cache/layout.h"
#include "test.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct lab {
	struct event_base *base;
	struct cache *cache;
	bool is_ready;
	/* The last look-up's answer. */
	bool is_found;
	struct cache_chunk *chunk;
	enum cache_tier tier;
	double stall_ms;
};

static inline double lab_now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static inline uint64_t lab_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* Chunk `i`: 1 byte to the largest, mostly some 50 KB. */
static inline struct cache_chunk *lab_chunk(uint64_t i)
{
	static uint8_t bytes[CHUNK_MAX + 8];
	struct err err = ERR_INIT;
	uint64_t seed = i;
	uint32_t len = i % 50 == 0 ? CHUNK_MAX : (uint32_t)(1 + lab_random(&seed) % 100000);
	for (uint32_t at = 0; at < len; at += 8) {
		uint64_t v = lab_random(&seed);
		memcpy(bytes + at, &v, 8);
	}
	struct digest digest = digest_of(bytes, len);
	struct cache_chunk *chunk = cache_chunk_new(&digest, len, &err);
	assert_non_null(chunk);
	memcpy(chunk->bytes, bytes, len);
	return chunk;
}

static inline void lab_put(struct lab *lab, uint64_t i)
{
	struct cache_chunk *chunk = lab_chunk(i);
	cache_put(lab->cache, chunk);
	cache_chunk_unref(chunk);
}

static inline void lab_on_ready(struct cache *cache, void *data)
{
	(void)cache;
	((struct lab *)data)->is_ready = true;
}

/* Runs the loop for at most so long, or until *until holds. */
static inline void lab_run(struct lab *lab, const bool *until, unsigned ms)
{
	double end = lab_now_ms() + ms;
	while ((until == NULL || !*until) && lab_now_ms() < end) {
		struct timeval tick = {.tv_usec = 5000};
		event_base_loopexit(lab->base, &tick);
		event_base_loop(lab->base, EVLOOP_ONCE);
	}
}

static inline void lab_open(struct lab *lab, const char *disk, uint64_t disk_max, unsigned disk_ms)
{
	struct err err = ERR_INIT;
	struct cache_params params = {
		.memory_max = 1000, .disk = disk, .disk_max = disk_max, .disk_ms = disk_ms};
	*lab = (struct lab){.base = event_base_new()};
	assert_non_null(lab->base);
	assert_ok(cache_open(lab->base, &params, lab_on_ready, lab, &lab->cache, &err));
	lab_run(lab, &lab->is_ready, 20000);
	assert_true(lab->is_ready);
}

static inline void lab_close(struct lab *lab)
{
	lab->cache = cache_close(lab->cache, 20000);
	event_base_free(lab->base);
}

static inline struct cache_stat lab_stat(const struct lab *lab)
{
	struct cache_stat stat;
	cache_stat(lab->cache, &stat);
	return stat;
}

static inline void lab_found(struct cache_chunk *take_chunk, enum cache_tier tier, void *data)
{
	struct lab *lab = data;
	assert_false(lab->is_found);
	lab->is_found = true;
	lab->chunk = take_chunk;
	lab->tier = tier;
}

/* Looks chunk `i` up: true when it is there; what comes is compared with what it must be. */
static inline bool lab_get(struct lab *lab, uint64_t i)
{
	struct err err = ERR_INIT;
	struct cache_lookup *lookup;
	struct cache_chunk *want = lab_chunk(i);
	lab->is_found = false;
	double begun = lab_now_ms();
	assert_ok(cache_get(lab->cache, &want->digest, want->len, lab_found, lab, &lookup, &err));
	lab_run(lab, &lab->is_found, 30000);
	lab->stall_ms = lab_now_ms() - begun;
	assert_true(lab->is_found);
	bool is_there = lab->chunk != NULL;
	assert_int_equal(is_there, lab->tier != CACHE_NONE);
	if (is_there) {
		assert_int_equal(lab->chunk->len, want->len);
		assert_memory_equal(lab->chunk->bytes, want->bytes, want->len);
	}
	cache_chunk_unref(lab->chunk);
	cache_chunk_unref(want);
	return is_there;
}

/* Runs until what was put in is on the disk (or was given up). */
static inline void lab_settle(struct lab *lab)
{
	uint64_t before;
	do {
		before = lab_stat(lab).disk_chunks;
		lab_run(lab, NULL, 60);
	} while (lab_stat(lab).disk_chunks != before);
}

/* The disk helper: our only child. */
static inline pid_t lab_helper(void)
{
	int pid = 0;
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &pid), 1);
	fclose(f);
	return pid;
}

/* Log lines, to see what was said and how often. */
static struct lab_log {
	char last[1200];
	unsigned count;
} lab_log;

static inline void lab_on_log(enum log_level level, const char *line, void *data)
{
	(void)level;
	(void)data;
	snprintf(lab_log.last, sizeof(lab_log.last), "%s", line);
	lab_log.count++;
}

static inline void lab_log_begin(void)
{
	memset(&lab_log, 0, sizeof(lab_log));
	log_setup(LOG_LEVEL_INFO, lab_on_log, NULL);
}

#endif
