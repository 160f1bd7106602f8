/* SPDX-License-Identifier: MIT */
/*
 * The registration text has everything the database has but signatures and content addresses; with
 * these it is the key under which both are kept.
 */
#include "carrier/nix_database.h"

#include "nix/registration.h"
#include "source/database.h"

#include <string.h>
#include <sys/stat.h>

/* Changes when the same closure gives other bytes. */
#define MAKER "snowboot nix database 1"

void nix_database_done(struct nix_database *database)
{
	image_done(&database->sqlite);
	image_done(&database->registration);
}

static void hash_string(struct sha256_ctx *ctx, const char *str)
{
	const char *text = str != NULL ? str : "";
	sha256_update(ctx, strlen(text) + 1, (const uint8_t *)text);
}

/* `which` tells the two files of one closure apart. */
static struct digest make_key(
	const struct closure *closure, const struct buf *registration, const char *which)
{
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	hash_string(&ctx, MAKER);
	hash_string(&ctx, which);
	sha256_update(&ctx, registration->len, registration->data);
	for (size_t i = 0; i < closure->len; i++) {
		const struct path_info *info = &closure->items[i];
		hash_string(&ctx, info->sigs);
		hash_string(&ctx, info->ca);
	}
	return digest_finish(&ctx);
}

/* An image that is one object of the pool. */
static int refer_to(
	struct pool *pool, const struct digest *object, struct image *ret, struct err *err)
{
	AUTO_FREE char *path = pool_object_path(pool, object, err);
	struct stat st;
	if (path == NULL)
		return -1;
	if (stat(path, &st) < 0)
		return err_sys(err, "cannot open '%s'", path);
	return image_append_file(ret, path, 0, (uint64_t)st.st_size, err);
}

static int keep(struct pool *pool, const struct digest *key, const struct buf *data,
	struct image *ret, struct err *err)
{
	struct digest object;
	if (pool_put(pool, data->data, data->len, &object, err) < 0 ||
		pool_memo_put(pool, key, &object, err) < 0)
		return -1;
	return refer_to(pool, &object, ret, err);
}

/* 1 when it was kept before and is still there. */
static int look_up(struct pool *pool, const struct digest *key, struct image *ret, struct err *err)
{
	struct digest object;
	int found = pool_memo_get(pool, key, &object, err);
	if (found <= 0)
		return found;
	struct err gone = ERR_INIT;
	if (pool_pin(pool, &object, 1, &gone) < 0)
		return 0;
	return refer_to(pool, &object, ret, err) < 0 ? -1 : 1;
}

static int make(struct pool *pool, const struct closure *closure, struct nix_database *database,
	struct err *err)
{
	AUTO_BUF registration = {0}, sqlite = {0};
	if (registration_encode(closure, &registration, err) < 0)
		return -1;
	struct digest key = make_key(closure, &registration, "registration");
	int found = look_up(pool, &key, &database->registration, err);
	if (found < 0 ||
		(found == 0 && keep(pool, &key, &registration, &database->registration, err) < 0))
		return -1;
	key = make_key(closure, &registration, "sqlite");
	found = look_up(pool, &key, &database->sqlite, err);
	if (found != 0)
		return found < 0 ? -1 : 0;
	if (database_build(closure, &sqlite, err) < 0)
		return -1;
	return keep(pool, &key, &sqlite, &database->sqlite, err);
}

int nix_database_make(
	struct pool *pool, const struct closure *closure, struct nix_database *ret, struct err *err)
{
	AUTO_NIX_DATABASE database = {0};
	if (make(pool, closure, &database, err) < 0)
		return err_prefix(err, "making the Nix database");
	*ret = database;
	database = (struct nix_database){0};
	return 0;
}
