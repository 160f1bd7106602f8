/* SPDX-License-Identifier: MIT */
/* snowboot publish: systems as plain files, for web servers and object stores to serve. */
#include "base/log.h"
#include "base/path.h"
#include "cli/pool_options.h"
#include "cli/progress.h"
#include "cli/source_options.h"
#include "manifest/manifest.h"
#include "publish/publish.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY 86400LL

/* Options that stay open while a run goes on. */
struct order {
	const struct cli_args *args;
	char *state_dir, *profiles_dir, *url;
	struct strvec keys, excluded;
	struct signer signer;
	struct acquirer *acquirer;
	struct boot_maker *maker;
	struct target *target;
	VEC(struct boot *) boots;
};

static void order_done(struct order *o)
{
	VEC_FOREACH(boot, &o->boots)
		boot_unref(*boot);
	vec_done(&o->boots);
	boot_maker_close(o->maker);
	acquirer_close(o->acquirer);
	target_close(o->target);
	signer_done(&o->signer);
	strvec_done(&o->keys);
	strvec_done(&o->excluded);
	free(o->state_dir);
	free(o->profiles_dir);
	free(o->url);
}

/* Without a slash at its end, so that names can follow. */
static int read_url(struct order *o, struct err *err)
{
	const char *url = cli_option(o->args, "url", NULL);
	if (url == NULL)
		return 0;
	if (strncmp(url, "http://", 7) != 0 || url[7] == '\0' || url[7] == '/') {
		err_raise(
			err, ERR_USAGE, "--url takes a URL like http://HOST/PREFIX, not '%s'", url);
		return err_hint(err, "machines fetch by plain HTTP, and verify every byte");
	}
	size_t len = strlen(url);
	while (url[len - 1] == '/')
		len--;
	o->url = path_printf(err, "%.*s", (int)len, url);
	return o->url != NULL ? 0 : -1;
}

static int open_target(struct order *o, struct err *err)
{
	const char *to = cli_option(o->args, "to", NULL);
	if (to == NULL) {
		err_raise(err, ERR_USAGE, "where should it be published?");
		return err_hint(err, "say --to DIR or --to s3://BUCKET/PREFIX");
	}
	const struct target_s3 s3 = {.endpoint = cli_option(o->args, "endpoint", NULL),
		.region = cli_option(o->args, "region", NULL)};
	return target_open(to, &s3, &o->target, err);
}

static int open_maker(struct order *o, struct err *err)
{
	const struct cli_args *args = o->args;
	const char *state = cli_option(args, "state", NULL);
	long long days;
	struct pool_params pool;
	if (cli_number(args, "expiry", 1, 36500, 30, &days, err) < 0 ||
		cli_pool_params(args, &pool, err) < 0 ||
		cli_values(args, "key", &o->keys, err) < 0 ||
		cli_values(args, "exclude-from-peers", &o->excluded, err) < 0)
		return -1;
	o->state_dir = state != NULL ? path_printf(err, "%s", state) : signer_default_dir(err);
	if (o->state_dir == NULL || signer_open(&o->keys, o->state_dir, &o->signer, err) < 0)
		return -1;
	o->profiles_dir = path_printf(err, "%s/profiles", o->state_dir);
	if (o->profiles_dir == NULL || cli_acquirer(args, &o->acquirer, err) < 0)
		return -1;
	const struct boot_options options = {.pool_dir = cli_option(args, "pool", NULL),
		.modules = cli_option(args, "modules", "netboot"),
		.append = cli_option(args, "append", NULL),
		.level = pool.level,
		.acquirer = o->acquirer,
		.root = ROOT_NET,
		.state_dir = o->state_dir,
		.signer = &o->signer,
		.excluded = &o->excluded,
		.alias = cli_option(args, "name", "default"),
		.node = {.site = cli_option(args, "site", NULL),
			.peers = !cli_flag(args, "no-peers"),
			.complete = cli_flag(args, "complete")},
		.lifetime = days * DAY};
	if (!manifest_name_valid(options.alias))
		return err_raise(
			err, ERR_USAGE, "'%s' cannot be the name of a manifest", options.alias);
	return boot_maker_open(&options, &o->maker, err);
}

/* Machines do not give these to each other, but a web server gives them to whoever asks. */
static void warn_of_private(const struct order *o, const struct boot *boot)
{
	size_t count = 0;
	VEC_FOREACH(member, &boot->catalog.members)
		count += member->is_private;
	if (count > 0)
		log_warning("%zu store paths of '%s' are private, and will be had by whoever can "
			    "read '%s'",
			count, boot->name, o->target->name);
}

/* The first system is also offered under --name. */
static int make_boots(struct order *o, struct err *err)
{
	for (size_t i = 0; i < o->args->operands.len; i++) {
		const struct boot_source source = {
			.system = o->args->operands.items[i], .as_default = i == 0};
		struct boot *boot;
		if (boot_make(o->maker, &source, o->args->progress, &boot, err) < 0)
			return -1;
		if (vec_push(&o->boots, boot, err) < 0) {
			boot_unref(boot);
			return -1;
		}
		warn_of_private(o, boot);
	}
	return 0;
}

static int report(
	const struct order *o, const struct publish_result *r, double seconds, struct err *err)
{
	if (o->args->json)
		return cli_put_json(
			json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "to",
				o->target->name, "systems", (json_int_t)o->boots.len, "files",
				(json_int_t)r->files, "bytes", (json_int_t)r->bytes, "kept",
				(json_int_t)r->kept, "kept_bytes", (json_int_t)r->kept_bytes,
				"removed", (json_int_t)r->removed, "removed_bytes",
				(json_int_t)r->removed_bytes, "seconds", seconds),
			err);
	if (o->args->quiet)
		return 0;
	char a[16], b[16], c[16];
	printf("%s: %zu systems, %ju files of %s put, %ju of %s were there, %.1f s\n",
		o->target->name, o->boots.len, (uintmax_t)r->files,
		progress_format_bytes(r->bytes, a), (uintmax_t)r->kept,
		progress_format_bytes(r->kept_bytes, b), seconds);
	if (cli_flag(o->args, "gc"))
		printf("removed %ju files of %s\n", (uintmax_t)r->removed,
			progress_format_bytes(r->removed_bytes, c));
	if (o->url == NULL && o->boots.len > 0)
		printf("no iPXE script was written: --url says where machines will find this\n");
	return 0;
}

static int run(const struct cli_args *args, struct err *err)
{
	AUTO(order_done) struct order o = {.args = args};
	struct publish_result result = {0};
	struct timespec begun;
	clock_gettime(CLOCK_MONOTONIC, &begun);
	bool gc = cli_flag(args, "gc");
	if (args->operands.len == 0 && !gc) {
		err_raise(err, ERR_USAGE, "no system is named");
		return err_hint(err, "name one, or say --gc to remove what is not needed any more");
	}
	if (read_url(&o, err) < 0 || open_target(&o, err) < 0)
		return -1;
	if (args->operands.len > 0 && (open_maker(&o, err) < 0 || make_boots(&o, err) < 0))
		return -1;
	const struct publish_params params = {.url = o.url,
		.alias = cli_option(args, "name", "default"),
		.profiles_dir = o.profiles_dir};
	if (o.boots.len > 0 &&
		publish_boots(o.target, &params, o.boots.items, o.boots.len, args->progress,
			&result, err) < 0)
		return -1;
	if (gc && publish_gc(o.target, &result, err) < 0)
		return -1;
	return report(&o, &result, progress_seconds_since(&begun), err);
}

static const struct cli_option options[] = {
	{0, "to", "TARGET", "a directory, or a bucket: s3://BUCKET/PREFIX", "@dir"},
	{0, "url", "URL", "where machines will find the target, for the iPXE scripts", NULL},
	{0, "name", "NAME", "another name for the first SYSTEM (default)", NULL},
	{0, "gc", NULL, "remove what nothing that is published needs any more", NULL},
	{0, "endpoint", "URL", "the object store, if it is not Amazon's", NULL},
	{0, "region", "NAME", "of the object store", NULL},
	{0, "key", "FILE", "a secret key to sign with, repeatable (one made once, in the state)",
		"@file"},
	{0, "state", "DIR", "where key, serials and boot profiles are kept", "@dir"},
	{0, "expiry", "DAYS", "how long after its issue a system may be booted (30)", NULL},
	{0, "exclude-from-peers", "GLOB", "store paths that never leave by a peer, repeatable",
		NULL},
	{0, "site", "NAME", "where the machines stand: peers of the same site come first", NULL},
	{0, "no-peers", NULL, "machines fetch from the target alone", NULL},
	{0, "complete", NULL, "machines fetch the whole system in the background", NULL},
	{0, "pool", "DIR", "the pool's directory", "@dir"},
	{0, "modules", "SET", "kernel modules for stage 1: minimal, netboot, all, or names",
		"minimal netboot all"},
	{0, "append", "ARGS", "words for the end of the kernel command line", NULL},
	{'l', "level", "N", "zstd level of what is not in the pool yet, 1 to 19", NULL},
	SOURCE_OPTIONS,
	{0},
};

const struct command cmd_publish = {
	.name = "publish",
	.synopsis = "[SYSTEM...]",
	.summary = "put systems where any web server can serve them",
	.description = "Writes everything that machines with a network root fetch as plain files, "
		       "only what is missing, and then switches to them. From then on any web "
		       "server, CDN or bucket is an origin, with no snowboot process.",
	.max_operands = -1,
	.options = options,
	.operand_values = "@system",
	.run = run,
};
