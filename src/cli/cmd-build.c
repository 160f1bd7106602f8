/* SPDX-License-Identifier: MIT */
/*
 * `snowboot build`: images as files. It puts a closure into the pool, has its image composed, and
 * writes that where the user wants it; what an image consists of is the carriers' business.
 */
#include "base/log.h"
#include "base/outfile.h"
#include "carrier/root.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "source/store.h"
#include "system/system.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* What every kind of image is made from. */
struct order {
	const struct cli_args *args;
	const char *output;
	struct store *store;
	struct pool *pool;
	struct pool_params params;
	char *path; /* store path */
	struct closure closure;
	struct timespec begun;
};

#define AUTO_ORDER AUTO(order_done) struct order

static void order_done(struct order *order)
{
	closure_done(&order->closure);
	free(order->path);
	pool_close(order->pool);
	store_close(order->store);
}

static int open_pool(struct order *order, struct err *err)
{
	const char *named = cli_option(order->args, "pool", NULL);
	AUTO_FREE char *fallback = named == NULL ? pool_default_dir(err) : NULL;
	if (named == NULL && fallback == NULL)
		return -1;
	return pool_open(named != NULL ? named : fallback, 0, &order->pool, err);
}

static int read_options(const struct cli_args *args, struct order *order, struct err *err)
{
	long long level, jobs;
	if (cli_number(args, "level", 1, 19, POOL_LEVEL_DEFAULT, &level, err) < 0 ||
		cli_number(args, "jobs", 1, 4096, 0, &jobs, err) < 0)
		return -1;
	order->params = (struct pool_params){.level = (int)level, .jobs = (unsigned)jobs};
	order->output = cli_option(args, "output", NULL);
	if (order->output != NULL)
		return 0;
	err_raise(err, ERR_USAGE, "no output is named");
	return err_hint(err, "say -o FILE");
}

/* Finds the closure and brings what is missing of it into the pool. */
static int prepare(const struct cli_args *args, struct order *order, struct err *err)
{
	order->args = args;
	clock_gettime(CLOCK_MONOTONIC, &order->begun);
	if (read_options(args, order, err) < 0 ||
		store_open(cli_option(args, "store", ""), &order->store, err) < 0)
		return -1;
	const char *dir = store_dir(order->store), *real_dir = store_real_dir(order->store);
	if (system_resolve_in(args->operands.items[0], dir, real_dir, &order->path, err) < 0 ||
		store_hold(order->store, order->path, err) < 0 ||
		store_closure(order->store, order->path, &order->closure, err) < 0)
		return -1;
	if (open_pool(order, err) < 0)
		return -1;
	return pool_add(order->pool, &order->closure, &order->params, args->progress, err);
}

static int write_output(const struct order *order, const struct image *image, struct err *err)
{
	AUTO_OUTFILE out = OUTFILE_INIT;
	ERR_SCOPE(err, "writing '%s'", order->output);
	if (outfile_open(&out, order->output, err) < 0 ||
		image_write(image, out.fd, order->args->progress, err) < 0)
		return -1;
	return outfile_commit(&out, err);
}

static double seconds_since(const struct timespec *begun)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - begun->tv_sec) + (double)(now.tv_nsec - begun->tv_nsec) / 1e9;
}

/* Says what was made. */
static int report(
	const struct order *order, const struct root *root, uint64_t size, struct err *err)
{
	double seconds = seconds_since(&order->begun);
	uint64_t nar_size = closure_nar_size(&order->closure);
	char a[16], b[16], id[DIGEST_HEX_SIZE];
	if (!order->args->json) {
		if (!order->args->quiet)
			printf("%s: %zu store paths, %s in %s, %.1f s\n", order->output,
				order->closure.len, progress_format_bytes(nar_size, a),
				progress_format_bytes(size, b), seconds);
		return 0;
	}
	json_t *object = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:f}", "path", order->path,
		"output", order->output, "id", digest_hex(&root->id, id), "paths",
		(json_int_t)order->closure.len, "nar_size", (json_int_t)nar_size, "size",
		(json_int_t)size, "seconds", seconds);
	AUTO_FREE char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	if (text == NULL)
		return err_raise(
			err, ERR_UNSUPPORTED, "'%s' cannot be written as JSON", order->output);
	puts(text);
	return 0;
}

static int run_squashfs(const struct cli_args *args, struct err *err)
{
	AUTO_ORDER order = {0};
	AUTO_ROOT root = {0};
	if (prepare(args, &order, err) < 0 ||
		root_compose(order.pool, &order.closure, &order.params, &root, err) < 0 ||
		write_output(&order, &root.image, err) < 0)
		return -1;
	/* The image is there; that the next one takes some milliseconds longer is no failure. */
	struct err tolerated = ERR_INIT;
	if (root_remember(order.pool, &root, &tolerated) < 0)
		log_ignored(&tolerated);
	return report(&order, &root, root.image.size, err);
}

static const struct cli_option options[] = {
	{'o', "output", "FILE", "write the image here", "@file"},
	{0, "pool", "DIR", "the pool (default: $SNOWBOOT_POOL, else the system's cache)", "@dir"},
	{'l', "level", "N", "zstd level of what is packed anew, 1 to 19 (6)", NULL},
	{'j', "jobs", "N", "threads that pack (all cores)", NULL},
	{0, "store", "ROOT", "the store under another root (ROOT/nix/store)", "@dir"},
	{0},
};

extern const struct command cmd_build_squashfs;
const struct command cmd_build_squashfs = {
	.name = "build squashfs",
	.synopsis = "SYSTEM",
	.summary = "write the root image of a system",
	.description =
		"Writes the closure of SYSTEM, or of any other store path, as a squashfs image\n"
		"whose root directory holds the store paths. What the pool does not have yet is\n"
		"packed first.",
	.min_operands = 1,
	.max_operands = 1,
	.options = options,
	.operand_values = "@system",
	.run = run_squashfs,
};
