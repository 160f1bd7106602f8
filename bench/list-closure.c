/* SPDX-License-Identifier: MIT */
/*
 * list-closure store ROOT PATH, list-closure cache URL KEY PATH: prints the store paths of a
 * closure, as nix-store -qR and nix path-info -r do. bench/closure measures it against them.
 */
#include "source/caches.h"
#include "source/store.h"

#include <stdio.h>
#include <string.h>

static void print_closure(const struct closure *closure)
{
	for (size_t i = 0; i < closure->len; i++)
		puts(closure->items[i].path);
}

static int from_store(const char *root, const char *path, struct err *err)
{
	struct store *store;
	AUTO_CLOSURE closure = {0};
	if (store_open(root, &store, err) < 0)
		return -1;
	int r = store_closure(store, path, &closure, err);
	print_closure(&closure);
	store_close(store);
	return r;
}

static int from_caches(struct caches *caches, const char *path, struct err *err)
{
	struct cached_closure *cached;
	char *found;
	if (caches_closure(caches, path, NULL, &cached, &found, err) < 0)
		return -1;
	print_closure(cached_closure_get(cached));
	cached_closure_free(cached);
	free(found);
	return 0;
}

static int from_cache(const char *url, const char *key, const char *path, struct err *err)
{
	AUTO_STRVEC urls = {0};
	AUTO(trust_done) struct trust trust = {0};
	struct caches *caches;
	const struct caches_params params = {
		.urls = &urls, .trust = &trust, .stall_s = CACHES_STALL_S};
	if (strvec_push(&urls, url, err) < 0 || trust_add(&trust, key, err) < 0 ||
		caches_open(&params, &caches, err) < 0)
		return -1;
	int r = from_caches(caches, path, err);
	caches_close(caches);
	return r;
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	int r;
	if (argc == 4 && strcmp(argv[1], "store") == 0) {
		r = from_store(argv[2], argv[3], &err);
	} else if (argc == 5 && strcmp(argv[1], "cache") == 0) {
		r = from_cache(argv[2], argv[3], argv[4], &err);
	} else {
		fprintf(stderr, "usage: list-closure store ROOT PATH | cache URL KEY PATH\n");
		return 2;
	}
	if (r == 0)
		return 0;
	fprintf(stderr, "list-closure: %s\n", err.msg);
	return 1;
}
