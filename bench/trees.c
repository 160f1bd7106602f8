/* SPDX-License-Identifier: MIT */
/*
 * What loading a warm pool costs before an image can be composed: 1,500 store paths of 200 entries
 * each are found in the index, their trees read and hashed, and every entry read once.
 *
 *   build/bench/trees [PATHS] [ENTRIES]
 */
#include "base/path.h"
#include "nix/nar.h"
#include "pool/pool.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Makes one store path whose files differ in name only, as far as a tree cares. */
static int make_path(
	const char *store, size_t i, size_t entries, struct path_info *ret, struct err *err)
{
	AUTO_FREE char *dir = path_printf(err, "%s/p%zu", store, i);
	AUTO_FREE char *first = path_printf(err, "%s/file", dir);
	if (dir == NULL || first == NULL || path_mkdirs(dir, err) < 0)
		return -1;
	FILE *file = fopen(first, "w");
	if (file == NULL)
		return err_sys(err, "cannot open '%s'", first);
	fprintf(file, "store path %zu\n", i);
	if (fclose(file) != 0)
		return err_sys(err, "cannot write '%s'", first);
	for (size_t j = 1; j < entries; j++) {
		AUTO_FREE char *name =
			path_printf(err, "%s/a-file-with-a-usual-name-%zu.h", dir, j);
		if (name == NULL)
			return -1;
		if (link(first, name) < 0)
			return err_sys(err, "cannot link '%s'", name);
	}
	struct nar_hasher hasher;
	nar_hasher_init(&hasher);
	struct nar_sink sink = nar_hasher_sink(&hasher);
	if (nar_write_path(dir, &sink, err) < 0)
		return -1;
	ret->nar_size = hasher.size;
	ret->nar_hash = nar_hasher_finish(&hasher);
	ret->path = path_printf(err, "/nix/store/p%zu", i);
	return ret->path != NULL ? 0 : -1;
}

static int walk(const struct tree *tree, uint64_t *sum, struct err *err)
{
	struct tree_cursor cursor;
	struct tree_entry entry;
	uint32_t n;
	int r;
	tree_cursor_init(&cursor, tree);
	do {
		r = tree_next_directory(&cursor, &n, err);
		for (uint32_t i = 0; r >= 0 && i < (r > 0 ? n : 1); i++) {
			if (tree_next_entry(&cursor, &entry, err) < 0)
				return -1;
			*sum += entry.size + entry.name_len;
		}
	} while (r > 0);
	return r;
}

static int measure(struct pool *pool, const struct closure *closure, struct err *err)
{
	const struct pool_params params = {.level = 1};
	AUTO_FREE struct pool_segment *segments = NULL;
	AUTO_POOL_TREES trees = {0};
	size_t missing;
	uint64_t sum = 0, entries = 0;
	double a = now_ms();
	if (pool_find_closure(pool, closure, &params, &segments, &missing, err) <= 0)
		return err_clean(err)
			? err_raise(err, ERR_BUG, "store path %zu is missing", missing)
			: -1;
	double b = now_ms();
	if (pool_load_trees(pool, segments, closure->len, &trees, err) < 0)
		return -1;
	double c = now_ms();
	for (size_t i = 0; i < trees.len; i++) {
		entries += trees.items[i].entry_count;
		if (walk(&trees.items[i], &sum, err) < 0)
			return -1;
	}
	double d = now_ms();
	printf("%zu trees, %llu entries, %.1f MB: find %.1f ms, load %.1f ms, read %.1f ms "
	       "(%llu)\n",
		trees.len, (unsigned long long)entries, (double)trees.bytes.len / 1e6, b - a, c - b,
		d - c, (unsigned long long)sum);
	return 0;
}

static int run(const char *dir, size_t paths, size_t entries, struct err *err)
{
	AUTO_FREE char *store = path_printf(err, "%s/store", dir);
	AUTO_FREE char *pool_dir = path_printf(err, "%s/pool", dir);
	AUTO_CLOSURE closure = {.store_dir = path_printf(err, "/nix/store"),
		.real_dir = path_printf(err, "%s", store)};
	closure.items = calloc(paths, sizeof(*closure.items));
	if (closure.items == NULL)
		return err_oom(err);
	for (; closure.len < paths; closure.len++)
		if (make_path(store, closure.len, entries, &closure.items[closure.len], err) < 0)
			return -1;
	struct pool *pool;
	if (pool_open(pool_dir, 0, &pool, err) < 0)
		return -1;
	const struct pool_params params = {.level = 1};
	double a = now_ms();
	int r = pool_add(pool, &closure, &params, NULL, err);
	printf("filled in %.0f ms\n", now_ms() - a);
	for (int i = 0; r == 0 && i < 7; i++)
		r = measure(pool, &closure, err);
	pool_close(pool);
	return r;
}

int main(int argc, char **argv)
{
	char dir[] = "/var/tmp/snowboot-bench-XXXXXX";
	struct err err = ERR_INIT;
	size_t paths = argc > 1 ? strtoul(argv[1], NULL, 10) : 1500;
	size_t entries = argc > 2 ? strtoul(argv[2], NULL, 10) : 200;
	if (mkdtemp(dir) == NULL) {
		perror(dir);
		return 1;
	}
	int r = run(dir, paths, entries, &err);
	if (r < 0)
		fprintf(stderr, "trees: %s\n", err.msg);
	fprintf(stderr, "remove '%s' when you are done\n", dir);
	return r < 0 ? 1 : 0;
}
