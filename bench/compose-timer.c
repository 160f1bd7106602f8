/* SPDX-License-Identifier: MIT */
/*
 * compose-timer ROOT POOL LEVEL TOPLEVEL: how long the steps from a store path to its image take,
 * in milliseconds, best and median of several runs; each run opens the pool anew. bench/compose
 * makes a report of it.
 */
#include "base/path.h"
#include "carrier/root.h"
#include "source/store.h"
#include "system/system.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUNS 9

static double clock_ms(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double now_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/* What each of several runs took: by the wall, and on a processor, which other work disturbs less.
 */
struct times {
	double wall[RUNS], cpu[RUNS];
};

static void report(const char *name, struct times *times)
{
	qsort(times->wall, RUNS, sizeof(double), compare);
	qsort(times->cpu, RUNS, sizeof(double), compare);
	printf("%s_best_ms %.2f\n%s_median_ms %.2f\n%s_cpu_ms %.2f\n", name, times->wall[0], name,
		times->wall[RUNS / 2], name, times->cpu[0]);
}

/* The steps of composing one by one. */
static int measure_steps(const char *dir, const struct closure *closure,
	const struct pool_params *params, struct err *err)
{
	struct pool *pool;
	AUTO_FREE struct pool_segment *segments = NULL;
	AUTO_POOL_TREES trees = {0};
	AUTO_IMAGE image = {0};
	size_t missing;
	double opened = now_ms();
	if (pool_open(dir, 0, &pool, err) < 0)
		return -1;
	double begun = now_ms();
	if (pool_find_closure(pool, closure, params, &segments, &missing, err) < 0)
		return -1;
	double found = now_ms();
	if (pool_load_trees(pool, segments, closure->len, &trees, err) < 0)
		return -1;
	double loaded = now_ms();
	AUTO_FREE struct squashfs_member *members = calloc(closure->len, sizeof(*members));
	if (members == NULL)
		return err_oom(err);
	for (size_t i = 0; i < closure->len; i++)
		members[i] = (struct squashfs_member){
			path_basename(closure->items[i].path), &trees.items[i], "segment"};
	double listed = now_ms();
	if (squashfs_compose(members, closure->len, &image, NULL, err) < 0)
		return -1;
	printf("step_open_ms %.2f\nstep_find_ms %.2f\nstep_load_ms %.2f\nstep_compose_ms %.2f\n"
	       "trees_bytes %zu\n",
		begun - opened, found - begun, loaded - found, now_ms() - listed, trees.bytes.len);
	pool_close(pool);
	return 0;
}

/* One run from a closure to its image, the pool opened anew. */
static int compose_once(const char *dir, const struct closure *closure,
	const struct pool_params *params, double *ret_wall, double *ret_cpu, struct err *err)
{
	struct pool *pool;
	AUTO_ROOT root = {0};
	double wall = now_ms(), cpu = clock_ms(CLOCK_PROCESS_CPUTIME_ID);
	if (pool_open(dir, 0, &pool, err) < 0)
		return -1;
	int r = root_compose(pool, closure, params, &root, err);
	*ret_wall = now_ms() - wall;
	*ret_cpu = clock_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	pool_close(pool);
	return r;
}

/* Composes and keeps the result for the runs to come. */
static int remember(const char *dir, const struct closure *closure,
	const struct pool_params *params, struct err *err)
{
	struct pool *pool;
	AUTO_ROOT root = {0};
	if (pool_open(dir, 0, &pool, err) < 0 ||
		root_compose(pool, closure, params, &root, err) < 0)
		return -1;
	double begun = now_ms();
	if (root_remember(pool, &root, err) < 0)
		return -1;
	const struct squashfs_part *last = &root.layout.parts.items[root.layout.parts.len - 1];
	printf("remember_ms %.2f\nimage_bytes %llu\nmetadata_bytes %llu\n", now_ms() - begun,
		(unsigned long long)root.image.size, (unsigned long long)last->len);
	pool_close(pool);
	return 0;
}

static int add(const char *dir, const struct closure *closure, const struct pool_params *params,
	struct err *err)
{
	struct pool *pool;
	double begun = now_ms();
	if (pool_open(dir, 0, &pool, err) < 0 || pool_add(pool, closure, params, NULL, err) < 0)
		return -1;
	printf("add_ms %.2f\n", now_ms() - begun);
	pool_close(pool);
	return 0;
}

/* Each run under a name of its own, so that none finds what one before might have remembered. */
static int measure_composing(
	const char *dir, struct closure *closure, const struct pool_params *params, struct err *err)
{
	struct times times;
	char *end = closure->items[closure->len - 1].path;
	end += strlen(end) - 1;
	const char last = *end;
	for (int i = 0; i < RUNS; i++) {
		*end = (char)('A' + i);
		if (compose_once(dir, closure, params, &times.wall[i], &times.cpu[i], err) < 0)
			return -1;
	}
	*end = last;
	report("compose", &times);
	return measure_steps(dir, closure, params, err);
}

static int measure_unchanged(const char *dir, const struct closure *closure,
	const struct pool_params *params, struct err *err)
{
	struct times times;
	if (remember(dir, closure, params, err) < 0)
		return -1;
	for (int i = 0; i < RUNS; i++)
		if (compose_once(dir, closure, params, &times.wall[i], &times.cpu[i], err) < 0)
			return -1;
	report("unchanged", &times);
	return 0;
}

static int measure(char **argv, struct err *err)
{
	struct store *store;
	AUTO_CLOSURE closure = {0};
	AUTO_FREE char *path = NULL;
	const char *dir = argv[2];
	const struct pool_params params = {.level = (int)strtol(argv[3], NULL, 10)};
	double begun = now_ms();
	if (store_open(argv[1], &store, err) < 0 ||
		system_resolve_in(argv[4], store_dir(store), store_real_dir(store), &path, err) <
			0 ||
		store_closure(store, path, &closure, err) < 0)
		return -1;
	printf("paths %zu\nclosure_ms %.2f\n", closure.len, now_ms() - begun);
	store_close(store);
	if (add(dir, &closure, &params, err) < 0)
		return -1;
	if (measure_composing(dir, &closure, &params, err) < 0)
		return -1;
	return measure_unchanged(dir, &closure, &params, err);
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	if (argc != 5) {
		fprintf(stderr, "usage: compose-timer ROOT POOL LEVEL TOPLEVEL\n");
		return 2;
	}
	if (measure(argv, &err) == 0)
		return 0;
	fprintf(stderr, "compose-timer: %s\n", err.msg);
	return 1;
}
