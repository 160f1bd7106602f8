/* SPDX-License-Identifier: MIT */
/*
 * Names to closures in the pool. The local store goes first, since nothing has to be fetched then;
 * the caches are opened when something is wanted of them.
 */
#include "acquire/acquire.h"

#include "acquire/name.h"
#include "acquire/nix_build.h"
#include "acquire/system_files.h"
#include "base/path.h"
#include "nix/store_path.h"
#include "source/caches.h"
#include "source/nix_conf.h"
#include "source/store.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STORE_DIR "/nix/store"

struct acquirer {
	char *store_root;
	struct store *store; /* NULL: not opened yet, or there is none */
	struct strvec urls;
	struct trust trust;
	struct nix_conf conf;
	struct caches *caches; /* NULL: not opened yet */
	char *caches_for;      /* the URL that they were opened for beside `urls`, or NULL */
	unsigned stall_s;
};

void acquired_done(struct acquired *acquired)
{
	free(acquired->path);
	closure_done(&acquired->closure);
	*acquired = (struct acquired){0};
}

static int add_all(const struct strvec *from, struct strvec *to, struct err *err)
{
	for (size_t i = 0; i < from->len; i++)
		if (!strvec_has(to, from->items[i]) && strvec_push(to, from->items[i], err) < 0)
			return -1;
	return 0;
}

static int fill(struct acquirer *a, const struct acquire_params *params, struct err *err)
{
	a->stall_s = params->stall_s;
	a->trust.anything = params->any_signature;
	a->store_root = strdup(params->store_root);
	if (a->store_root == NULL)
		return err_oom(err);
	if (nix_conf_read(&a->conf, err) < 0 || add_all(params->caches, &a->urls, err) < 0)
		return -1;
	for (size_t i = 0; i < params->trusted_keys->len; i++)
		if (trust_add(&a->trust, params->trusted_keys->items[i], err) < 0)
			return err_prefix(err, "--trusted-key");
	for (size_t i = 0; i < a->conf.trusted_keys.len; i++)
		if (trust_add(&a->trust, a->conf.trusted_keys.items[i], err) < 0)
			return err_prefix(err, "trusted-public-keys in nix.conf");
	return add_all(&a->conf.substituters, &a->urls, err);
}

int acquirer_open(const struct acquire_params *params, struct acquirer **ret, struct err *err)
{
	struct acquirer *a = calloc(1, sizeof(*a));
	if (a == NULL)
		return err_oom(err);
	if (fill(a, params, err) < 0) {
		acquirer_close(a);
		return -1;
	}
	*ret = a;
	return 0;
}

struct acquirer *acquirer_close(struct acquirer *a)
{
	if (a == NULL)
		return NULL;
	store_close(a->store);
	caches_close(a->caches);
	trust_done(&a->trust);
	nix_conf_done(&a->conf);
	strvec_done(&a->urls);
	free(a->caches_for);
	free(a->store_root);
	free(a);
	return NULL;
}

static int need_store(struct acquirer *a, struct err *err)
{
	return a->store != NULL ? 0 : store_open(a->store_root, &a->store, err);
}

/* The caches, with `url` (or NULL) before all others. */
static int need_caches(struct acquirer *a, const char *url, struct err *err)
{
	const char *old = a->caches_for != NULL ? a->caches_for : "";
	if (a->caches != NULL && strcmp(old, url != NULL ? url : "") == 0)
		return 0;
	a->caches = caches_close(a->caches);
	free(TAKE_PTR(a->caches_for));
	AUTO_STRVEC urls = {0};
	if ((url != NULL && strvec_push(&urls, url, err) < 0) || add_all(&a->urls, &urls, err) < 0)
		return -1;
	const struct caches_params params = {.urls = &urls,
		.trust = &a->trust,
		.netrc = a->conf.netrc_file,
		.stall_s = a->stall_s};
	a->caches_for = url != NULL ? strdup(url) : NULL;
	if (url != NULL && a->caches_for == NULL)
		return err_oom(err);
	return caches_open(&params, &a->caches, err);
}

/* Gives the files of a system whose paths are in the pool alone a place. */
static int unpack_files(const struct acquire_into *into, struct acquired *acquired, struct err *err)
{
	AUTO_FREE char *scratch = NULL;
	if (pool_scratch(into->pool, &scratch, err) < 0)
		return -1;
	char *dir = path_printf(err, "%s%s", scratch, STORE_DIR);
	if (dir == NULL)
		return -1;
	free(acquired->closure.real_dir);
	acquired->closure.real_dir = dir;
	if (path_mkdirs(dir, err) < 0)
		return -1;
	return system_files_unpack(
		into->pool, &acquired->closure, into->params, acquired->path, dir, err);
}

static void free_cached(struct cached_closure **cached)
{
	*cached = cached_closure_free(*cached);
}

static int from_cache(struct acquirer *a, const char *text, const struct acquire_into *into,
	struct acquired *acquired, struct err *err)
{
	AUTO(free_cached) struct cached_closure *cached = NULL;
	AUTO(caches_supply_done) struct pool_supply supply = {0};
	if (caches_closure(a->caches, text, into->progress, &cached, &acquired->path, err) < 0 ||
		caches_supply(a->caches, cached, &supply, err) < 0 ||
		pool_add_from(into->pool, cached_closure_get(cached), &supply, into->params,
			into->progress, err) < 0)
		return -1;
	caches_supply_done(&supply);
	cached_closure_take(cached, &acquired->closure);
	if (into->system == NULL)
		return 0;
	if (unpack_files(into, acquired, err) < 0)
		return -1;
	return system_read(
		acquired->path, STORE_DIR, acquired->closure.real_dir, into->system, err);
}

static int from_store(struct acquirer *a, const char *name, const struct acquire_into *into,
	struct acquired *acquired, struct err *err)
{
	if (need_store(a, err) < 0)
		return -1;
	const char *dir = store_dir(a->store), *real_dir = store_real_dir(a->store);
	if (system_resolve_in(name, dir, real_dir, &acquired->path, err) < 0 ||
		store_hold(a->store, acquired->path, err) < 0)
		return -1;
	if (into->system != NULL &&
		system_read(acquired->path, dir, real_dir, into->system, err) < 0)
		return -1;
	if (store_closure(a->store, acquired->path, &acquired->closure, err) < 0)
		return -1;
	return pool_add(into->pool, &acquired->closure, into->params, into->progress, err);
}

/* The store path in the local store that begins with the name: 1 and *ret, or 0. */
static int find_local(const struct acquirer *a, const char *name, char **ret, struct err *err)
{
	bool whole = strlen(name) > STORE_PATH_HASH_LEN;
	struct stat st;
	AUTO_FREE char *dir = path_printf(err, "%s%s", a->store_root, STORE_DIR);
	AUTO_FREE char *path = dir != NULL ? path_printf(err, "%s/%s", dir, name) : NULL;
	if (path == NULL)
		return -1;
	if (whole && lstat(path, &st) < 0)
		return 0;
	if (whole)
		return (*ret = path_printf(err, "%s/%s", STORE_DIR, name)) != NULL ? 1 : -1;
	DIR *entries = opendir(dir);
	if (entries == NULL)
		return 0;
	int found = 0;
	for (struct dirent *entry; found == 0 && (entry = readdir(entries)) != NULL;)
		if (strncmp(entry->d_name, name, STORE_PATH_HASH_LEN) == 0 &&
			entry->d_name[STORE_PATH_HASH_LEN] == '-') {
			*ret = path_printf(err, "%s/%s", STORE_DIR, entry->d_name);
			found = *ret != NULL && store_path_check(*ret, STORE_DIR, err) == 0 ? 1
											    : -1;
		}
	(void)closedir(entries); /* it was only read */
	return found;
}

/* By hash: here, or in a cache. */
static int from_anywhere(struct acquirer *a, const char *text, const struct acquire_into *into,
	struct acquired *acquired, struct err *err)
{
	AUTO_FREE char *path = NULL;
	int found = find_local(a, text, &path, err);
	if (found < 0)
		return -1;
	if (found > 0)
		return from_store(a, path, into, acquired, err);
	if (a->urls.len > 0)
		return need_caches(a, NULL, err) < 0 ? -1
						     : from_cache(a, text, into, acquired, err);
	err_raise(err, ERR_NOT_FOUND, "there is no store path '%s' in '%s%s'", text, a->store_root,
		STORE_DIR);
	return err_hint(err, "--cache URL, or substituters in nix.conf, name where else to look");
}

static int take(struct acquirer *a, const struct name *name, const struct acquire_into *into,
	struct acquired *acquired, struct err *err)
{
	AUTO_FREE char *built = NULL;
	switch (name->kind) {
	case NAME_FILE:
	case NAME_PROFILE:
		return from_store(a, name->text, into, acquired, err);
	case NAME_HASH:
	case NAME_STORE:
		return from_anywhere(a, name->text, into, acquired, err);
	case NAME_CACHE:
		return need_caches(a, name->cache_url, err) < 0
			? -1
			: from_cache(a, name->text, into, acquired, err);
	case NAME_FLAKE:
	case NAME_NIX:
		return nix_build(name, &built, err) < 0 ? -1
							: from_store(a, built, into, acquired, err);
	}
	return 0;
}

int acquire(struct acquirer *a, const char *name, const struct acquire_into *into,
	struct acquired *ret, struct err *err)
{
	AUTO_NAME parsed = {0};
	AUTO_ACQUIRED acquired = {0};
	if (name_parse(name, a->store_root, &parsed, err) < 0 ||
		take(a, &parsed, into, &acquired, err) < 0)
		return -1;
	*ret = acquired;
	acquired = (struct acquired){0};
	return 0;
}
