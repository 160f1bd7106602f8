/* SPDX-License-Identifier: MIT */
/*
 * Names to closures in the pool. The local store goes first, since nothing has to be fetched then;
 * the caches are opened when something is wanted of them.
 */
#include "acquire/name.h"
#include "acquire/nix_build.h"
#include "acquire/parts.h"
#include "acquire/system_files.h"
#include "base/path.h"
#include "nix/store_path.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void acquired_done(struct acquired *acquired)
{
	free(acquired->path);
	system_files_free(acquired->files);
	acquire_look_free(acquired->look);
	closure_done(&acquired->closure);
	*acquired = (struct acquired){0};
}

static int need_store(struct acquirer *a, struct err *err)
{
	return a->store != NULL ? 0 : store_open(a->store_root, &a->store, err);
}

static int read_name(const struct acquirer *a, const char *text, struct name *ret, struct err *err)
{
	const struct name_places places = {.own = a->profiles, .store_root = a->store_root};
	return name_parse(text, &places, ret, err);
}

int acquirer_prepare(struct acquirer *a, struct err *err)
{
	struct err absent = ERR_INIT;
	if (need_store(a, &absent) == 0)
		return store_prepare_hold(a->store, err);
	if (absent.kind == ERR_NOT_FOUND)
		return 0;
	*err = absent;
	return -1;
}

void acquired_remove_files(struct acquired *acquired)
{
	system_files_remove(acquired->files);
}

const struct store_supply *acquired_supply(const struct acquired *acquired)
{
	return system_files_supply(acquired->files);
}

int acquire_add_urls(const struct strvec *from, struct strvec *to, struct err *err)
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
	bool named = params->profiles != NULL;
	a->profiles = named ? strdup(params->profiles) : NULL;
	a->store_root = strdup(params->store_root);
	a->real_store = path_printf(err, "%s" ACQUIRE_STORE_DIR, params->store_root);
	if (a->store_root == NULL || a->real_store == NULL || (named && a->profiles == NULL))
		return err_clean(err) ? err_oom(err) : -1;
	if (nix_conf_read(&a->conf, err) < 0 || acquire_add_urls(params->caches, &a->urls, err) < 0)
		return -1;
	for (size_t i = 0; i < params->trusted_keys->len; i++)
		if (trust_add(&a->trust, params->trusted_keys->items[i], err) < 0)
			return err_prefix(err, "--trusted-key");
	for (size_t i = 0; i < a->conf.trusted_keys.len; i++)
		if (trust_add(&a->trust, a->conf.trusted_keys.items[i], err) < 0)
			return err_prefix(err, "trusted-public-keys in nix.conf");
	return acquire_add_urls(&a->conf.substituters, &a->urls, err);
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
	free(a->profiles);
	free(a->store_root);
	free(a->real_store);
	free(a);
	return NULL;
}

const char *acquirer_real_store(const struct acquirer *a)
{
	return a->real_store;
}

/* Its specialisation, if one is wanted. */
static int resolve(const struct acquirer *a, const char *name, const struct acquire_into *into,
	char **ret, struct err *err)
{
	const char *dir = store_dir(a->store), *real_dir = store_real_dir(a->store);
	AUTO_FREE char *path = NULL;
	struct err failure = ERR_INIT;
	if (system_resolve_in(name, dir, real_dir, &path, err) < 0)
		return -1;
	if (into->specialisation == NULL) {
		*ret = TAKE_PTR(path);
		return 0;
	}
	AUTO_FREE char *link = path_printf(err, "%s/specialisation/%s", path, into->specialisation);
	if (link == NULL)
		return -1;
	if (system_resolve_in(link, dir, real_dir, ret, &failure) == 0)
		return 0;
	if (failure.kind != ERR_NOT_FOUND) {
		*err = failure;
		return -1;
	}
	err_raise(err, ERR_NOT_FOUND, "the system '%s' has no specialisation '%s'", path,
		into->specialisation);
	return err_hint(err, "'snowboot show %s' lists those that it has", path);
}

static int from_store(struct acquirer *a, const char *name, const struct acquire_into *into,
	struct acquired *acquired, struct err *err)
{
	if (need_store(a, err) < 0)
		return -1;
	const char *dir = store_dir(a->store), *real_dir = store_real_dir(a->store);
	if (resolve(a, name, into, &acquired->path, err) < 0 ||
		(!into->look && store_hold(a->store, acquired->path, err) < 0))
		return -1;
	if (into->system != NULL &&
		system_read(acquired->path, dir, real_dir, into->system, err) < 0)
		return -1;
	if (store_closure(a->store, acquired->path, &acquired->closure, err) < 0)
		return -1;
	return into->look
		? 0
		: pool_add(into->pool, &acquired->closure, into->params, into->progress, err);
}

/* The store path in the local store that begins with the name: 1 and *ret, or 0. */
static int find_local(const struct acquirer *a, const char *name, char **ret, struct err *err)
{
	bool whole = strlen(name) > STORE_PATH_HASH_LEN;
	struct stat st;
	AUTO_FREE char *dir = path_printf(err, "%s%s", a->store_root, ACQUIRE_STORE_DIR);
	AUTO_FREE char *path = dir != NULL ? path_printf(err, "%s/%s", dir, name) : NULL;
	if (path == NULL)
		return -1;
	if (whole && lstat(path, &st) < 0)
		return 0;
	if (whole)
		return (*ret = path_printf(err, "%s/%s", ACQUIRE_STORE_DIR, name)) != NULL ? 1 : -1;
	DIR *entries = opendir(dir);
	if (entries == NULL)
		return 0;
	int found = 0;
	for (struct dirent *entry; found == 0 && (entry = readdir(entries)) != NULL;)
		if (strncmp(entry->d_name, name, STORE_PATH_HASH_LEN) == 0 &&
			entry->d_name[STORE_PATH_HASH_LEN] == '-') {
			*ret = path_printf(err, "%s/%s", ACQUIRE_STORE_DIR, entry->d_name);
			found = *ret != NULL && store_path_check(*ret, ACQUIRE_STORE_DIR, err) == 0
				? 1
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
	return acquire_cached(a, text, NULL, into, acquired, err);
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
		return acquire_cached(a, name->text, name->cache_url, into, acquired, err);
	case NAME_FLAKE:
	case NAME_NIX:
		return nix_build(name, &built, err) < 0 ? -1
							: from_store(a, built, into, acquired, err);
	}
	return 0;
}

int acquire_hint(const char *name, struct err *err)
{
	struct stat st;
	if (err->kind != ERR_NOT_FOUND || err->hint[0] != '\0' || lstat(name, &st) == 0)
		return -1;
	if (strchr(name, '/') == NULL)
		return err_hint(err,
			"there is neither a file nor a profile of that name; "
			"snowboot-sources(7) tells what a SYSTEM may be");
	if (name[0] != '/' && name[0] != '.' && name_is_hash(path_basename(name)))
		return err_hint(err, "a binary cache is named by its URL, like https://%s", name);
	return -1;
}

int acquire(struct acquirer *a, const char *name, const struct acquire_into *into,
	struct acquired *ret, struct err *err)
{
	AUTO_NAME parsed = {0};
	AUTO_ACQUIRED acquired = {0};
	if (read_name(a, name, &parsed, err) < 0)
		return -1;
	if (take(a, &parsed, into, &acquired, err) < 0)
		return parsed.kind == NAME_FILE ? acquire_hint(name, err) : -1;
	*ret = acquired;
	acquired = (struct acquired){0};
	return 0;
}

int acquire_is_here(const struct acquirer *a, const char *name, struct err *err)
{
	AUTO_NAME parsed = {0};
	AUTO_FREE char *path = NULL;
	if (read_name(a, name, &parsed, err) < 0)
		return -1;
	switch (parsed.kind) {
	case NAME_FILE:
	case NAME_PROFILE:
	case NAME_FLAKE:
	case NAME_NIX:
		return 1;
	case NAME_HASH:
	case NAME_STORE:
		return find_local(a, parsed.text, &path, err);
	case NAME_CACHE:
		break;
	}
	return 0;
}

/* A whole store path that is not here is in a cache, if there is any. */
static bool is_elsewhere(const struct acquirer *a, const char *path)
{
	struct err ignored = ERR_INIT;
	struct stat st;
	AUTO_FREE char *real = path_printf(&ignored, "%s%s", a->store_root, path);
	return a->urls.len > 0 && real != NULL && lstat(real, &st) < 0;
}

int acquire_find_link(const struct acquirer *a, const char *name, char **ret_path, struct err *err)
{
	AUTO_NAME parsed = {0};
	const char *found = NULL;
	if (read_name(a, name, &parsed, err) < 0)
		return -1;
	switch (parsed.kind) {
	case NAME_FILE:
	case NAME_PROFILE:
		found = parsed.text;
		break;
	case NAME_STORE:
		found = is_elsewhere(a, name) ? NULL : name;
		break;
	case NAME_HASH:
	case NAME_CACHE:
	case NAME_FLAKE:
	case NAME_NIX:
		break;
	}
	if (found == NULL)
		return 0;
	char *path = strdup(found);
	if (path == NULL)
		return err_oom(err);
	*ret_path = path;
	return 1;
}

int acquire_file_name(const struct acquirer *a, const char *name, char **ret, struct err *err)
{
	AUTO_NAME parsed = {0};
	AUTO_FREE char *path = NULL;
	if (read_name(a, name, &parsed, err) < 0)
		return -1;
	switch (parsed.kind) {
	case NAME_FILE:
	case NAME_PROFILE:
		if (system_resolve_in(parsed.text, ACQUIRE_STORE_DIR, a->real_store, &path, err) <
			0)
			return -1;
		break;
	case NAME_FLAKE:
	case NAME_NIX:
		if (nix_build(&parsed, &path, err) < 0)
			return -1;
		break;
	case NAME_HASH:
	case NAME_STORE:
	case NAME_CACHE:
		path = TAKE_PTR(parsed.text);
		break;
	}
	*ret = strdup(path_basename(path));
	return *ret != NULL ? 0 : err_oom(err);
}
