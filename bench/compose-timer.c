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
#ifndef BENCH_CLOCK
#define BENCH_CLOCK CLOCK_MONOTONIC
#endif

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(BENCH_CLOCK, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static void report(const char *name, double *ms)
{
	qsort(ms, RUNS, sizeof(*ms), compare);
	printf("%s_best_ms %.2f\n%s_median_ms %.2f\n", name, ms[0], name, ms[RUNS / 2]);
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

/* One way from a closure to its image. With memo_ms, it is remembered, too. */
static int compose_once(const char *dir, const struct closure *closure,
	const struct pool_params *params, double *memo_ms, double *ret_ms, struct err *err)
{
	struct pool *pool;
	AUTO_ROOT root = {0};
	double begun = now_ms();
	if (pool_open(dir, 0, &pool, err) < 0)
		return -1;
	int r = root_compose(pool, closure, params, &root, err);
	*ret_ms = now_ms() - begun;
	if (r == 0 && memo_ms != NULL) {
		begun = now_ms();
		r = root_remember(pool, &root, err);
		*memo_ms = now_ms() - begun;
	}
	if (r == 0 && memo_ms != NULL) {
		const struct squashfs_part *last =
			&root.layout.parts.items[root.layout.parts.len - 1];
		printf("image_bytes %llu\nmetadata_bytes %llu\n",
			(unsigned long long)root.image.size, (unsigned long long)last->len);
	}
	pool_close(pool);
	return r;
}

static int measure(char **argv, struct err *err)
{
	struct store *store;
	AUTO_CLOSURE closure = {0};
	AUTO_FREE char *path = NULL;
	const struct pool_params params = {.level = (int)strtol(argv[3], NULL, 10)};
	double begun = now_ms(), memo_ms, ms[RUNS];
	if (store_open(argv[1], &store, err) < 0 ||
		system_resolve_in(argv[4], store_dir(store), store_real_dir(store), &path, err) <
			0 ||
		store_closure(store, path, &closure, err) < 0)
		return -1;
	printf("paths %zu\nclosure_ms %.2f\n", closure.len, now_ms() - begun);
	struct pool *pool;
	begun = now_ms();
	if (pool_open(argv[2], 0, &pool, err) < 0 ||
		pool_add(pool, &closure, &params, NULL, err) < 0)
		return -1;
	printf("add_ms %.2f\n", now_ms() - begun);
	pool_close(pool);
	/* Under a name of its own in each run, so that no run finds what one before remembered. */
	char *path_end = closure.items[closure.len - 1].path;
	path_end += strlen(path_end) - 1;
	const char end = *path_end;
	for (int i = 0; i < RUNS; i++) {
		*path_end = (char)('A' + i);
		if (compose_once(argv[2], &closure, &params, NULL, &ms[i], err) < 0)
			return -1;
	}
	*path_end = end;
	report("compose", ms);
	for (int i = 0; i < 3; i++)
		if (measure_steps(argv[2], &closure, &params, err) < 0)
			return -1;
	if (compose_once(argv[2], &closure, &params, &memo_ms, &ms[0], err) < 0)
		return -1;
	printf("remember_ms %.2f\n", memo_ms);
	for (int i = 0; i < RUNS; i++)
		if (compose_once(argv[2], &closure, &params, NULL, &ms[i], err) < 0)
			return -1;
	report("unchanged", ms);
	store_close(store);
	return 0;
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
