/* SPDX-License-Identifier: MIT */
/* snowboot copy: a system as a binary cache that Nix itself reads. */
#include "base/fd.h"
#include "cli/pool_options.h"
#include "cli/progress.h"
#include "cli/source_options.h"
#include "source/cache_writer.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define KEY_FILE_MAX 4096 /* bytes */

typedef VEC(struct secret_key) secret_keys;

struct copying {
	struct acquirer *acquirer;
	struct pool *pool;
	struct pool_params params;
	struct acquired acquired;
	secret_keys keys;
};

static void copying_done(struct copying *c)
{
	acquired_done(&c->acquired);
	pool_close(c->pool);
	acquirer_close(c->acquirer);
	VEC_FOREACH(key, &c->keys)
		secret_key_done(key);
	vec_done(&c->keys);
}

static int read_key(const char *file, secret_keys *keys, struct err *err)
{
	AUTO_BUF text = {0};
	struct secret_key key;
	if (fd_read_file(AT_FDCWD, file, KEY_FILE_MAX, &text, err) < 0)
		return -1;
	const char *str = buf_str(&text, err);
	int r = str != NULL ? secret_key_parse(str, &key, err) : -1;
	explicit_bzero(text.data, text.len);
	if (r < 0)
		return err_prefix(err, "'%s'", file);
	if (vec_push(keys, key, err) == 0)
		return 0;
	secret_key_done(&key);
	return -1;
}

static int read_keys(const struct cli_args *args, secret_keys *keys, struct err *err)
{
	AUTO_STRVEC files = {0};
	if (cli_values(args, "key", &files, err) < 0)
		return -1;
	for (size_t i = 0; i < files.len; i++)
		if (read_key(files.items[i], keys, err) < 0)
			return -1;
	return 0;
}

static int read_compression(const struct cli_args *args, enum nar_compression *ret, struct err *err)
{
	const char *name = cli_option(args, "compression", "zstd");
	for (enum nar_compression c = NAR_COMPRESSION_NONE; c < NAR_COMPRESSION_BROTLI; c++)
		if (strcmp(nar_compression_name(c), name) == 0) {
			*ret = c;
			return 0;
		}
	return err_raise(err, ERR_USAGE,
		"--compression takes zstd, xz, bzip2, gzip or none, not '%s'", name);
}

static int report(const struct cli_args *args, const struct copying *c, const char *dir,
	const struct cache_written *written, double seconds, struct err *err)
{
	char text[16];
	if (args->json)
		return cli_put_json(
			json_pack("{s:s, s:s, s:I, s:I, s:I, s:f}", "path", c->acquired.path, "to",
				dir, "paths", (json_int_t)c->acquired.closure.len, "copied",
				(json_int_t)written->paths, "copied_bytes",
				(json_int_t)written->bytes, "seconds", seconds),
			err);
	if (!args->quiet)
		printf("%s: %zu of %zu store paths copied, %s, %.1f s\n", c->acquired.path,
			written->paths, c->acquired.closure.len,
			progress_format_bytes(written->bytes, text), seconds);
	return 0;
}

/* file:///DIR is DIR; no other URL is a directory. */
static int read_dir(const struct cli_args *args, const char **ret, struct err *err)
{
	const char *to = cli_option(args, "to", NULL);
	if (to == NULL) {
		err_raise(err, ERR_USAGE, "no directory is named");
		return err_hint(err, "say --to DIR");
	}
	if (strncmp(to, "file:///", 8) == 0)
		to += strlen("file://");
	if (strstr(to, "://") != NULL) {
		err_raise(err, ERR_USAGE, "--to takes a directory, not the URL '%s'", to);
		return err_hint(err,
			"what is written there can be brought to any web server or bucket as it "
			"is");
	}
	*ret = to;
	return 0;
}

static int run_copy(const struct cli_args *args, struct err *err)
{
	AUTO(copying_done) struct copying c = {0};
	struct cache_writer writer = {0};
	struct cache_written written;
	struct timespec begun;
	clock_gettime(CLOCK_MONOTONIC, &begun);
	if (read_dir(args, &writer.dir, err) < 0 ||
		read_compression(args, &writer.compression, err) < 0 ||
		cli_pool_params(args, &c.params, err) < 0 || read_keys(args, &c.keys, err) < 0 ||
		cli_acquirer(args, &c.acquirer, err) < 0 ||
		cli_open_pool(args, 0, &c.pool, err) < 0)
		return -1;
	const struct acquire_into into = {
		.pool = c.pool, .params = &c.params, .progress = args->progress};
	writer.keys = c.keys.items;
	writer.key_count = c.keys.len;
	writer.jobs = c.params.jobs;
	if (acquire(c.acquirer, args->operands.items[0], &into, &c.acquired, err) < 0 ||
		cache_write(&writer, c.pool, &c.acquired.closure, &c.params, args->progress,
			&written, err) < 0)
		return -1;
	return report(args, &c, writer.dir, &written, progress_seconds_since(&begun), err);
}

const struct command cmd_copy = {
	.name = "copy",
	.synopsis = "SYSTEM",
	.summary = "write a system as a binary cache",
	.description =
		"Writes the closure of SYSTEM, or of any other store path, into a directory that\n"
		"Nix and snowboot can use as a binary cache, by file:// or behind any web server.\n"
		"What is there already stays as it is.",
	.min_operands = 1,
	.max_operands = 1,
	.options =
		(const struct cli_option[]){
			{0, "to", "DIR", "the directory of the binary cache", "@dir"},
			{0, "key", "FILE", "sign with the secret key in FILE", "@file"},
			{0, "compression", "NAME", "of the NARs (zstd)", "zstd xz bzip2 gzip none"},
			{0, "pool", "DIR",
				"the pool (default: $SNOWBOOT_POOL, else the system's cache)",
				"@dir"},
			{'l', "level", "N", "zstd level of what the pool packs anew (6)", NULL},
			{'j', "jobs", "N", "threads (all cores)", NULL},
			SOURCE_OPTIONS,
			{0},
		},
	.operand_values = "@system",
	.run = run_copy,
};
