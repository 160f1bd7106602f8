/* SPDX-License-Identifier: MIT */
/* snowboot pool add|stat|verify|gc: the cache of segments, by hand. */
#include "cli/pool_options.h"
#include "cli/progress.h"
#include "cli/source_options.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#define OPTION_POOL \
	{ \
		0, "pool", "DIR", "the pool (default: $SNOWBOOT_POOL, else the system's cache)", \
			"@dir" \
	}

static void close_pool(struct pool **pool)
{
	pool_close(*pool);
}

static json_int_t number(uint64_t v)
{
	return (json_int_t)v;
}

static const char *human(uint64_t bytes, char out[16])
{
	return progress_format_bytes(bytes, out);
}

/* Adds one operand; closures overlap, and what is there already costs only a look. */
static int add_one(const struct cli_args *args, struct acquirer *acquirer, struct pool *pool,
	const char *name, const struct pool_params *params, struct err *err)
{
	AUTO_ACQUIRED acquired = {0};
	struct timespec begun, ended;
	const struct acquire_into into = {
		.pool = pool, .params = params, .progress = args->progress};
	clock_gettime(CLOCK_MONOTONIC, &begun);
	if (acquire(acquirer, name, &into, &acquired, err) < 0)
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &ended);
	const struct closure *closure = &acquired.closure;
	const char *path = acquired.path;
	AUTO_FREE struct pool_segment *segments = NULL;
	size_t missing;
	int r = pool_find_closure(pool, closure, params, &segments, &missing, err);
	if (r <= 0)
		return r < 0 ? -1
			     : err_raise(err, ERR_AGAIN, "'%s' was collected again at once",
				       closure->items[missing].path);
	uint64_t packed = 0, nar = closure_nar_size(closure);
	for (size_t i = 0; i < closure->len; i++)
		packed += segments[i].data_size + segments[i].tree_size;
	double seconds = (double)(ended.tv_sec - begun.tv_sec) +
		(double)(ended.tv_nsec - begun.tv_nsec) / 1e9;
	if (args->json)
		return cli_put_json(json_pack("{s:s, s:I, s:I, s:I, s:f}", "path", path, "paths",
					    number(closure->len), "nar_bytes", number(nar),
					    "packed_bytes", number(packed), "seconds", seconds),
			err);
	char a[16], b[16];
	if (!args->quiet)
		printf("%s: %zu store paths, %s packed to %s, %.1f s\n", path, closure->len,
			human(nar, a), human(packed, b), seconds);
	return 0;
}

static int run_add(const struct cli_args *args, struct err *err)
{
	struct pool_params params;
	AUTO_ACQUIRER *acquirer = NULL;
	AUTO(close_pool) struct pool *pool = NULL;
	if (cli_pool_params(args, &params, err) < 0 || cli_acquirer(args, &acquirer, err) < 0 ||
		cli_open_pool(args, 0, &pool, err) < 0)
		return -1;
	for (size_t i = 0; i < args->operands.len; i++)
		if (add_one(args, acquirer, pool, args->operands.items[i], &params, err) < 0)
			return -1;
	return 0;
}

static int run_stat(const struct cli_args *args, struct err *err)
{
	AUTO(close_pool) struct pool *pool = NULL;
	struct pool_stat s;
	if (cli_open_pool(args, POOL_READ_ONLY, &pool, err) < 0 || pool_stat(pool, &s, err) < 0)
		return -1;
	if (args->json)
		return cli_put_json(
			json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "pool",
				pool_dir(pool), "segments", number(s.segments), "nar_bytes",
				number(s.nar_bytes), "memos", number(s.memos), "objects",
				number(s.objects), "object_bytes", number(s.object_bytes), "unused",
				number(s.unused), "unused_bytes", number(s.unused_bytes)),
			err);
	char a[16], b[16], c[16];
	printf("pool         %s\n", pool_dir(pool));
	printf("store paths  %" PRIu64 ", %s unpacked\n", s.segments, human(s.nar_bytes, a));
	printf("derived      %" PRIu64 "\n", s.memos);
	printf("objects      %" PRIu64 ", %s\n", s.objects, human(s.object_bytes, b));
	printf("unused       %" PRIu64 ", %s\n", s.unused, human(s.unused_bytes, c));
	return 0;
}

static void print_problem(void *data, const char *text)
{
	const struct cli_args *args = data;
	struct err tolerated = ERR_INIT;
	if (args->json)
		(void)cli_put_json(json_pack("{s:s}", "problem", text), &tolerated);
	else
		printf("%s\n", text);
}

static int run_verify(const struct cli_args *args, struct err *err)
{
	AUTO(close_pool) struct pool *pool = NULL;
	bool repair = cli_flag(args, "repair");
	long long jobs;
	if (cli_number(args, "jobs", 1, 4096, 0, &jobs, err) < 0 ||
		cli_open_pool(args, POOL_READ_ONLY, &pool, err) < 0)
		return -1;
	/* Looked for first, so that a misspelt name does not make a new pool to repair. */
	if (repair) {
		pool = pool_close(pool);
		if (cli_open_pool(args, 0, &pool, err) < 0)
			return -1;
	}
	struct pool_check check = {.repair = repair,
		.jobs = (unsigned)jobs,
		.problem = print_problem,
		.data = (void *)args};
	uint64_t problems;
	if (pool_verify(pool, &check, args->progress, &problems, err) < 0)
		return -1;
	if (args->json &&
		cli_put_json(json_pack("{s:I, s:b}", "problems", number(problems), "repaired",
				     repair && problems > 0),
			err) < 0)
		return -1;
	if (problems == 0 || repair) {
		if (!args->json && !args->quiet)
			printf("%" PRIu64 " problems%s\n", problems,
				problems > 0 ? ", what was bad is removed" : "");
		return 0;
	}
	err_raise(err, ERR_CORRUPT, "pool '%s' has %" PRIu64 " problems", pool_dir(pool), problems);
	return err_hint(
		err, "'snowboot pool verify --repair' removes what is bad, and it is made again");
}

static int run_gc(const struct cli_args *args, struct err *err)
{
	unsigned long long max;
	if (cli_option(args, "max-size", NULL) == NULL) {
		err_raise(err, ERR_USAGE, "how large may the pool stay?");
		return err_hint(
			err, "say --max-size SIZE, like '20G'; '0' removes all that is not in use");
	}
	AUTO(close_pool) struct pool *pool = NULL;
	if (cli_size(args, "max-size", 0, &max, err) < 0 ||
		cli_open_pool(args, POOL_READ_ONLY, &pool, err) < 0)
		return -1;
	pool = pool_close(pool);
	struct pool_gc_result result;
	if (cli_open_pool(args, 0, &pool, err) < 0 || pool_gc(pool, max, &result, err) < 0)
		return -1;
	if (args->json)
		return cli_put_json(json_pack("{s:I, s:I, s:I}", "removed", number(result.removed),
					    "removed_bytes", number(result.removed_bytes),
					    "left_bytes", number(result.left_bytes)),
			err);
	char a[16], b[16];
	if (!args->quiet)
		printf("removed %" PRIu64 " objects of %s, %s are left\n", result.removed,
			human(result.removed_bytes, a), human(result.left_bytes, b));
	if (result.left_bytes > max && !args->quiet)
		fprintf(stderr, "snowboot: running programs keep more than --max-size\n");
	return 0;
}

const struct command cmd_pool_add = {
	.name = "pool add",
	.synopsis = "SYSTEM...",
	.summary = "compress store paths into the pool",
	.description = "Packs SYSTEM (or any store path) and all it refers to into the pool, each "
		       "store path once, on all cores.",
	.min_operands = 1,
	.max_operands = -1,
	.options =
		(const struct cli_option[]){
			{'l', "level", "N", "zstd level, 1 to 19 (default: 6)"},
			{'j', "jobs", "N", "threads (default: all cores)"},
			OPTION_POOL,
			SOURCE_OPTIONS,
			{0},
		},
	.operand_values = "@system",
	.run = run_add,
};

const struct command cmd_pool_stat = {
	.name = "pool stat",
	.synopsis = "",
	.summary = "tell what the pool holds",
	.description = "Counts store paths, objects and bytes of the pool.",
	.options = (const struct cli_option[]){OPTION_POOL, {0}},
	.run = run_stat,
};

const struct command cmd_pool_verify = {
	.name = "pool verify",
	.synopsis = "",
	.summary = "check every byte of the pool",
	.description =
		"Hashes every object and checks that index, trees and segments fit together. "
		"Fails when there are problems, each on a line.",
	.options =
		(const struct cli_option[]){
			{0, "repair", NULL, "remove what is bad; it is made again when needed"},
			{'j', "jobs", "N", "threads (default: all cores)"},
			OPTION_POOL,
			{0},
		},
	.run = run_verify,
};

const struct command cmd_pool_gc = {
	.name = "pool gc",
	.synopsis = "",
	.summary = "shrink the pool to a size",
	.description = "Removes what nothing refers to, then what was not used for longest, until "
		       "the pool has the given size. What a running program serves stays.",
	.options =
		(const struct cli_option[]){
			{0, "max-size", "SIZE", "how large the pool may stay, like 500M or 20G"},
			OPTION_POOL,
			{0},
		},
	.run = run_gc,
};
