/* SPDX-License-Identifier: MIT */
/*
 * snowboot manifest: what was issued, looked at from outside. A manifest comes from a file, from a
 * web server (then its catalog is fetched and checked, too), or from the state of this machine's
 * own server, named by the system.
 */
#include "acquire/name.h"
#include "base/fd.h"
#include "base/path.h"
#include "cli/pool_options.h"
#include "cli/progress.h"
#include "cli/source_options.h"
#include "manifest/catalog.h"
#include "manifest/manifest.h"
#include "publish/transfer.h"
#include "serve/signer.h"

#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define KEY_FILE_MAX ((size_t)64 << 10)
#define DEFAULT_NAME "default"

/* A manifest and what came with it. */
struct found {
	struct manifest manifest;
	struct catalog catalog; /* when it came from a web server */
	bool has_catalog;
	int64_t date; /* of the web server; 0: none */
};

static void found_done(struct found *found)
{
	manifest_done(&found->manifest);
	catalog_done(&found->catalog);
}

static bool is_cached(const char *source)
{
	AUTO_NAME name = {0};
	struct err none = ERR_INIT;
	const struct name_places nowhere = {.store_root = ""};
	return name_parse(source, &nowhere, &name, &none) == 0 && name.kind == NAME_CACHE;
}

/* Of a server; a cache's ends with the hash of a store path. */
static bool is_url(const char *source)
{
	return (strncmp(source, "http://", 7) == 0 || strncmp(source, "https://", 8) == 0) &&
		!is_cached(source);
}

/* The URL of the manifest: "http://host:8080" means that of the default system. */
static char *manifest_url(const char *source, struct err *err)
{
	const char *host = strstr(source, "://") + 3, *slash = strchr(host, '/');
	if (strstr(source, "/v1/manifests/") != NULL)
		return path_printf(err, "%s", source);
	return path_printf(err, "%s%sv1/manifests/" DEFAULT_NAME, source,
		slash != NULL && slash[strlen(slash) - 1] == '/' ? "" : "/");
}

/* Fetches the catalog that the manifest names, from the same server, and checks each piece. */
static int fetch_catalog(const char *url, struct found *found, struct err *err)
{
	const struct blob *blob = &found->manifest.catalog;
	char hex[DIGEST_HEX_SIZE];
	const char *cut = strstr(url, "/v1/manifests/");
	digest_hex(&blob->digest, hex);
	AUTO_FREE char *object =
		path_printf(err, "%.*s/v1/objects/%.2s/%s", (int)(cut - url), url, hex, hex);
	AUTO_BUF bytes = {0};
	AUTO(blob_done) struct blob got = {0};
	if (object == NULL || transfer_get(object, blob->size, &bytes, NULL, err) < 0 ||
		blob_of(bytes.data, bytes.len, &got, err) < 0)
		return -1;
	bool same = got.size == blob->size && digest_equal(&got.digest, &blob->digest);
	for (size_t i = 0; same && i < got.pieces.len; i++)
		same = digest_equal(&got.pieces.items[i], &blob->pieces.items[i]);
	if (!same)
		return err_raise(err, ERR_CORRUPT, "'%s' is not what the manifest names", object);
	found->has_catalog = true;
	return catalog_decode(bytes.data, bytes.len, &found->catalog, err);
}

static char *state_dir(const struct cli_args *args, struct err *err)
{
	const char *dir = cli_option(args, "state", NULL);
	return dir != NULL ? path_printf(err, "%s", dir) : signer_default_dir(err);
}

/* The file of the name, or the first that begins with it, which may be a hash alone. */
static char *find_file(const char *dir, const char *name, struct err *err)
{
	AUTO_DIR *entries = fd_opendir(AT_FDCWD, dir);
	for (const struct dirent *e; entries != NULL && (e = readdir(entries)) != NULL;)
		if (strncmp(e->d_name, name, strlen(name)) == 0 &&
			strchr("-", e->d_name[strlen(name)]) != NULL)
			return path_printf(err, "%s/%s", dir, e->d_name);
	return NULL;
}

/* What this machine's server issued last for a system. */
static char *issued_file(const struct cli_args *args, const char *system, struct err *err)
{
	AUTO_ACQUIRER *acquirer = NULL;
	AUTO_FREE char *name = NULL;
	AUTO_FREE char *dir = NULL;
	if (cli_acquirer(args, &acquirer, err) < 0 ||
		acquire_file_name(acquirer, system, &name, err) < 0)
		return NULL;
	dir = state_dir(args, err);
	AUTO_FREE char *serials = dir != NULL ? path_printf(err, "%s/serials", dir) : NULL;
	char *path = serials != NULL ? find_file(serials, name, err) : NULL;
	if (path != NULL || !err_clean(err))
		return path;
	err_raise(
		err, ERR_NOT_FOUND, "no manifest of '/nix/store/%s' was issued in '%s'", name, dir);
	err_hint(err, "'snowboot serve' and 'snowboot publish' issue one; --state says where");
	return NULL;
}

static int read_text(
	const struct cli_args *args, const char *source, struct buf *out, struct err *err)
{
	struct stat st;
	if (strcmp(source, "-") == 0)
		return fd_read_file(AT_FDCWD, "/dev/stdin", MANIFEST_MAX, out, err);
	if (stat(source, &st) == 0 && S_ISREG(st.st_mode))
		return fd_read_file(AT_FDCWD, source, MANIFEST_MAX, out, err);
	AUTO_FREE char *path = issued_file(args, source, err);
	return path != NULL ? fd_read_file(AT_FDCWD, path, MANIFEST_MAX, out, err) : -1;
}

static int find(const struct cli_args *args, const char *source, struct found *ret, struct err *err)
{
	AUTO(found_done) struct found found = {0};
	AUTO_BUF text = {0};
	AUTO_FREE char *url = NULL;
	if (is_url(source)) {
		url = manifest_url(source, err);
		if (url == NULL || transfer_get(url, MANIFEST_MAX, &text, &found.date, err) < 0)
			return -1;
	} else if (read_text(args, source, &text, err) < 0) {
		return -1;
	}
	if (manifest_decode((const char *)text.data, text.len, &found.manifest, err) < 0 ||
		(url != NULL && fetch_catalog(url, &found, err) < 0))
		return err_prefix(err, "'%s'", source);
	*ret = found;
	found = (struct found){0};
	return 0;
}

static const char *date_text(int64_t seconds, char out[32])
{
	time_t t = (time_t)seconds;
	struct tm tm;
	if (gmtime_r(&t, &tm) == NULL || strftime(out, 32, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		snprintf(out, 32, "%" PRId64, seconds);
	return out;
}

static uint64_t tree_bytes(const struct catalog *catalog)
{
	uint64_t sum = 0;
	VEC_FOREACH(member, &catalog->members)
		sum += member->tree.size + member->chunks.size;
	return sum;
}

static int show_json(const struct found *found, struct err *err)
{
	const struct manifest *m = &found->manifest;
	char hex[DIGEST_HEX_SIZE];
	json_t *names = json_array();
	VEC_FOREACH(signature, &m->signatures)
		json_array_append_new(names, json_string(signature->name));
	json_t *object = json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:I, s:o}", "name", m->name,
		"system", m->system, "serial", (json_int_t)m->serial, "issued",
		(json_int_t)m->issued, "expires", (json_int_t)m->expires, "cmdline", m->cmdline,
		"catalog", digest_hex(&m->catalog.digest, hex), "catalog_size",
		(json_int_t)m->catalog.size, "signed_by", names);
	if (object != NULL && found->has_catalog) {
		json_object_set_new(
			object, "paths", json_integer((json_int_t)found->catalog.members.len));
		json_object_set_new(
			object, "image_size", json_integer((json_int_t)found->catalog.image_size));
	}
	return cli_put_json(object, err);
}

static void show_text(const struct found *found)
{
	const struct manifest *m = &found->manifest;
	char hex[DIGEST_HEX_SIZE], issued[32], expires[32], a[16], b[16];
	printf("name      %s\n", m->name);
	printf("system    %s\n", m->system);
	printf("serial    %" PRIu64 "\n", m->serial);
	printf("issued    %s\n", date_text(m->issued, issued));
	printf("expires   %s\n", date_text(m->expires, expires));
	printf("cmdline   %s\n", m->cmdline);
	printf("catalog   %s, %s\n", digest_hex(&m->catalog.digest, hex),
		progress_format_bytes(m->catalog.size, a));
	if (found->has_catalog)
		printf("contents  %zu store paths, image of %s, trees and chunk tables of %s\n",
			found->catalog.members.len,
			progress_format_bytes(found->catalog.image_size, a),
			progress_format_bytes(tree_bytes(&found->catalog), b));
	printf("signed by");
	VEC_FOREACH(signature, &m->signatures)
		printf(" %s", signature->name);
	printf("%s\n", m->signatures.len == 0 ? " nobody" : "");
}

static int run_show(const struct cli_args *args, struct err *err)
{
	for (size_t i = 0; i < args->operands.len; i++) {
		AUTO(found_done) struct found found = {0};
		if (find(args, args->operands.items[i], &found, err) < 0)
			return -1;
		if (args->json && show_json(&found, err) < 0)
			return -1;
		if (args->json)
			continue;
		if (i > 0)
			printf("\n");
		show_text(&found);
	}
	return 0;
}

static void keys_done(public_keys *keys)
{
	VEC_FOREACH(key, keys)
		public_key_done(key);
	vec_done(keys);
}

static int add_key(public_keys *keys, const char *text, struct err *err)
{
	struct public_key key = {0};
	if (public_key_parse(text, &key, err) < 0)
		return -1;
	if (vec_push(keys, key, err) == 0)
		return 0;
	public_key_done(&key);
	return -1;
}

/* A file with one public key a line. */
static int add_key_file(public_keys *keys, const char *path, struct err *err)
{
	AUTO_BUF text = {0};
	if (fd_read_file(AT_FDCWD, path, KEY_FILE_MAX, &text, err) < 0)
		return -1;
	char *save = NULL, *str = buf_str(&text, err);
	if (str == NULL)
		return -1;
	for (char *line = strtok_r(str, "\n", &save); line != NULL;
		line = strtok_r(NULL, "\n", &save))
		if (add_key(keys, line, err) < 0)
			return err_prefix(err, "'%s'", path);
	return 0;
}

/* --key gives a key or a file of keys; without any, those of this machine's server. */
static int read_keys(const struct cli_args *args, public_keys *keys, struct err *err)
{
	for (size_t i = 0; i < args->option_names.len; i++) {
		const char *value = args->option_values.items[i];
		struct err local = ERR_INIT;
		if (strcmp(args->option_names.items[i], "key") != 0)
			continue;
		if (add_key(keys, value, &local) < 0 && add_key_file(keys, value, err) < 0)
			return err->kind == ERR_NOT_FOUND
				? err_hint(err, "--key takes a public key or a file of them")
				: -1;
	}
	if (keys->len > 0)
		return 0;
	AUTO_FREE char *dir = state_dir(args, err);
	AUTO_FREE char *path = dir != NULL ? path_printf(err, "%s/key.pub", dir) : NULL;
	if (path == NULL)
		return -1;
	if (add_key_file(keys, path, err) < 0)
		return err_hint(err, "say whom to trust with --key");
	return 0;
}

/* The name that a source asks for: the last part of a URL, else whatever the manifest says. */
static const char *asked_name(
	const struct cli_args *args, const char *source, const struct manifest *manifest)
{
	const char *url_name = is_url(source) ? strstr(source, "/v1/manifests/") : NULL;
	const char *fallback = url_name != NULL ? url_name + strlen("/v1/manifests/")
		: is_url(source)                ? DEFAULT_NAME
						: manifest->name;
	return cli_option(args, "name", fallback);
}

static int verify_one(const struct cli_args *args, const char *source, const public_keys *keys,
	uint64_t min_serial, struct err *err)
{
	AUTO(found_done) struct found found = {0};
	if (find(args, source, &found, err) < 0)
		return -1;
	const struct manifest *m = &found.manifest;
	const struct manifest_trust trust = {.keys = keys,
		.name = asked_name(args, source, m),
		.min_serial = min_serial,
		.now = time(NULL),
		.origin_now = found.date};
	if (manifest_check(m, &trust, err) < 0)
		return err_prefix(err, "'%s'", source);
	if (args->json)
		return show_json(&found, err);
	char expires[32];
	if (!args->quiet)
		printf("%s: good, '%s' serial %" PRIu64 " until %s\n", source, m->name, m->serial,
			date_text(m->expires, expires));
	return 0;
}

static int run_verify(const struct cli_args *args, struct err *err)
{
	AUTO(keys_done) public_keys keys = {0};
	long long min_serial;
	if (cli_number(args, "min-serial", 0, INT64_MAX, 0, &min_serial, err) < 0 ||
		read_keys(args, &keys, err) < 0)
		return -1;
	for (size_t i = 0; i < args->operands.len; i++)
		if (verify_one(args, args->operands.items[i], &keys, (uint64_t)min_serial, err) < 0)
			return -1;
	return 0;
}

#define OPTION_STATE \
	{ \
		0, "state", "DIR", "where 'snowboot serve' keeps keys and serials", "@dir" \
	}

const struct command cmd_manifest_show = {
	.name = "manifest show",
	.synopsis = "FILE|URL|SYSTEM...",
	.summary = "print what a manifest says",
	.description = "Prints a manifest: from a file (- is standard input), from a server's URL, "
		       "or the last one that this machine issued for SYSTEM. Checks no signature.",
	.min_operands = 1,
	.max_operands = -1,
	.options = (const struct cli_option[]){OPTION_STATE, {0}},
	.operand_values = "@system",
	.run = run_show,
};

const struct command cmd_manifest_verify = {
	.name = "manifest verify",
	.synopsis = "FILE|URL|SYSTEM...",
	.summary = "check that a machine would boot a manifest",
	.description = "Checks signature, name, serial and expiry of manifests as a machine does, "
		       "and for a URL also the catalog that it names. Fails with what is wrong.",
	.min_operands = 1,
	.max_operands = -1,
	.options =
		(const struct cli_option[]){
			{'k', "key", "KEY", "a public key, or a file of them, repeatable", "@file"},
			{0, "name", "NAME", "the name that is asked for"},
			{0, "min-serial", "N", "refuse an older one"},
			OPTION_STATE,
			{0},
		},
	.operand_values = "@system",
	.run = run_verify,
};
