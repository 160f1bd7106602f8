/* SPDX-License-Identifier: MIT */
/*
 * A closure that caches once had, as text: their own words, so that signatures are checked again by
 * whoever reads it, who may trust others than those who wrote it did.
 */
#include "nix/store_path.h"
#include "source/caches_parts.h"

#include <string.h>

#define SAVED "saved"

static const struct cached_path *find(const struct cached_closure *cached, const char *path)
{
	VEC_FOREACH(item, &cached->paths)
		if (strcmp(item->info.path, path) == 0)
			return item;
	return NULL;
}

int cached_closure_save(
	const struct cached_closure *cached, const char *path, struct buf *out, struct err *err)
{
	const struct cached_path *first = find(cached, path);
	if (first == NULL)
		return err_raise(err, ERR_BUG, "'%s' is not in its closure", path);
	if (narinfo_format(&first->info, out, err) < 0)
		return -1;
	VEC_FOREACH(item, &cached->paths)
		if (item != first &&
			(buf_put_str(out, "\n", err) < 0 ||
				narinfo_format(&item->info, out, err) < 0))
			return -1;
	return 0;
}

/* The first `len` bytes of the text are one narinfo, which says itself what it is of. */
static int load_one(const struct trust *trust, const char *text, size_t len,
	struct cached_closure *cached, struct err *err)
{
	static const char key[] = "StorePath: " CACHES_STORE_DIR "/";
	char hash[STORE_PATH_HASH_LEN + 1] = "";
	struct cached_path path = {0};
	const struct buf one = {.data = (uint8_t *)text, .len = len};
	if (len < sizeof(key) - 1 + STORE_PATH_HASH_LEN || strncmp(text, key, sizeof(key) - 1) != 0)
		return err_raise(err, ERR_CORRUPT, "a saved closure has what is no narinfo");
	memcpy(hash, text + sizeof(key) - 1, STORE_PATH_HASH_LEN);
	if (cached_path_parse(SAVED, hash, &one, &path, err) < 0)
		return -1;
	if (cached_path_judge(trust, SAVED, &path, err) == 0 &&
		vec_push(&cached->paths, path, err) == 0)
		return 0;
	cached_path_done(&path);
	return -1;
}

static void free_cached(struct cached_closure **cached)
{
	*cached = cached_closure_free(*cached);
}

int cached_closure_load(const struct trust *trust, const char *text, struct cached_closure **ret,
	char **ret_path, struct err *err)
{
	AUTO(free_cached) struct cached_closure *cached = calloc(1, sizeof(*cached));
	if (cached == NULL)
		return err_oom(err);
	for (const char *at = text; *at != '\0';) {
		const char *end = strstr(at, "\n\n");
		size_t len = end != NULL ? (size_t)(end + 1 - at) : strlen(at);
		if (load_one(trust, at, len, cached, err) < 0)
			return -1;
		at += len + (end != NULL);
	}
	if (cached->paths.len == 0)
		return err_raise(err, ERR_CORRUPT, "a saved closure is empty");
	AUTO_FREE char *path = strdup(cached->paths.items[0].info.path);
	if (path == NULL)
		return err_oom(err);
	if (cached_closure_build(cached, err) < 0)
		return -1;
	*ret = TAKE_PTR(cached);
	*ret_path = TAKE_PTR(path);
	return 0;
}
