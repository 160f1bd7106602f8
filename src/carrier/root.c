/* SPDX-License-Identifier: MIT */
/*
 * From a closure to its image: what the pool knows of each store path goes to the composer, and the
 * result is remembered under a key of everything that went in. It compresses nothing; what is
 * missing in the pool is an error here.
 */
#include "carrier/root.h"

#include "base/path.h"
#include "carrier/recipe.h"

#include <string.h>

/* Changes when the composer gives other bytes for the same trees, so that old recipes are not
 * found. */
#define COMPOSER "snowboot squashfs 1"

/* The inputs of one composition, in the order of the names. */
struct ingredients {
	struct pool_segment *segments;   /* in the order of the closure */
	struct squashfs_member *members; /* likewise; names borrow from the closure */
	struct strvec segment_paths;
	struct pool_trees trees;
};

static void ingredients_done(struct ingredients *in)
{
	free(in->segments);
	free(in->members);
	strvec_done(&in->segment_paths);
	pool_trees_done(&in->trees);
}

void root_done(struct root *root)
{
	image_done(&root->image);
	squashfs_layout_done(&root->layout);
	strvec_done(&root->names);
}

static int find_segments(struct pool *pool, const struct closure *closure,
	const struct pool_params *params, struct ingredients *in, struct err *err)
{
	size_t missing;
	int found = pool_find_closure(pool, closure, params, &in->segments, &missing, err);
	if (found != 0)
		return found < 0 ? -1 : 0;
	err_raise(err, ERR_NOT_FOUND, "'%s' is not in the pool '%s'", closure->items[missing].path,
		pool_dir(pool));
	return err_hint(err, "add it with 'snowboot pool add'");
}

/* The order of names does not matter for the image, so it must not for the key. */
static int compare_paths(const void *a, const void *b)
{
	const struct path_info *const *x = a, *const *y = b;
	return strcmp((*x)->path, (*y)->path);
}

static int make_key(const struct closure *closure, const struct ingredients *in, struct digest *ret,
	struct err *err)
{
	AUTO_FREE const struct path_info **order = calloc(closure->len + 1, sizeof(*order));
	if (order == NULL)
		return err_oom(err);
	for (size_t i = 0; i < closure->len; i++)
		order[i] = &closure->items[i];
	qsort(order, closure->len, sizeof(*order), compare_paths);
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	sha256_update(&ctx, sizeof(COMPOSER), (const uint8_t *)COMPOSER);
	for (size_t i = 0; i < closure->len; i++) {
		const char *name = path_basename(order[i]->path);
		const struct pool_segment *segment = &in->segments[order[i] - closure->items];
		sha256_update(&ctx, strlen(name) + 1, (const uint8_t *)name);
		sha256_update(&ctx, DIGEST_SIZE, segment->tree.bytes);
	}
	*ret = digest_finish(&ctx);
	return 0;
}

/* The metadata are an object of their own, remembered beside the recipe so that gc knows they are
 * in use. */
static struct digest metadata_key(const struct digest *key)
{
	struct digest other = *key;
	other.bytes[0] ^= 0xff;
	return other;
}

static int pin_parts(struct pool *pool, const struct root *root, struct err *err)
{
	VEC(struct digest) objects = {0};
	int r = 0;
	for (size_t i = 1; i < root->layout.parts.len && r == 0; i++)
		if (root->remembered || root->layout.parts.items[i].name != NULL)
			r = vec_push(&objects, root->layout.parts.items[i].digest, err);
	if (r == 0)
		r = pool_pin(pool, objects.items, objects.len, err);
	vec_done(&objects);
	return r;
}

/* 1 and the root as it was composed before; 0 when it was not, or when something of it is gone. */
static int look_up(struct pool *pool, const struct digest *key, struct root *ret, struct err *err)
{
	struct digest object;
	AUTO_BUF recipe = {0};
	int found = pool_memo_get(pool, key, &object, err);
	if (found <= 0)
		return found;
	struct err gone = ERR_INIT;
	AUTO_ROOT root = {0};
	if (pool_get(pool, &object, &recipe, &gone) < 0 ||
		recipe_decode(&recipe, pool, &root, &gone) < 0 || pin_parts(pool, &root, &gone) < 0)
		return 0;
	root.key = *key;
	*ret = root;
	root = (struct root){0};
	return 1;
}

static int make_members(
	struct pool *pool, const struct closure *closure, struct ingredients *in, struct err *err)
{
	if (pool_load_trees(pool, in->segments, closure->len, &in->trees, err) < 0)
		return -1;
	in->members = calloc(closure->len + 1, sizeof(*in->members));
	if (in->members == NULL)
		return err_oom(err);
	for (size_t i = 0; i < closure->len; i++) {
		if (strvec_push_take(&in->segment_paths,
			    pool_object_path(pool, &in->segments[i].data, err), err) < 0)
			return -1;
		in->members[i] = (struct squashfs_member){
			.name = path_basename(closure->items[i].path),
			.tree = &in->trees.items[i],
			.segment_path = in->segment_paths.items[i],
		};
	}
	return 0;
}

/* The layout's names outlive the closure. */
static int own_names(struct root *root, struct err *err)
{
	VEC_FOREACH(part, &root->layout.parts) {
		if (part->name == NULL)
			continue;
		if (strvec_push(&root->names, part->name, err) < 0)
			return -1;
		part->name = root->names.items[root->names.len - 1];
	}
	return 0;
}

static int compose(struct pool *pool, const struct closure *closure, struct ingredients *in,
	struct root *root, struct err *err)
{
	AUTO_BUF recipe = {0};
	if (make_members(pool, closure, in, err) < 0)
		return -1;
	if (squashfs_compose(in->members, closure->len, &root->image, &root->layout, err) < 0)
		return -1;
	if (own_names(root, err) < 0 || pin_parts(pool, root, err) < 0 ||
		recipe_encode(root, &recipe, err) < 0)
		return -1;
	root->id = digest_of(recipe.data, recipe.len);
	return 0;
}

int root_compose(struct pool *pool, const struct closure *closure, const struct pool_params *params,
	struct root *ret, struct err *err)
{
	ERR_SCOPE(err, "root image of %zu store paths", closure->len);
	AUTO(ingredients_done) struct ingredients in = {0};
	AUTO_ROOT root = {0};
	struct digest key;
	if (find_segments(pool, closure, params, &in, err) < 0 ||
		make_key(closure, &in, &key, err) < 0)
		return -1;
	int found = look_up(pool, &key, &root, err);
	if (found < 0 || (found == 0 && compose(pool, closure, &in, &root, err) < 0))
		return -1;
	root.key = key;
	*ret = root;
	root = (struct root){0};
	return 0;
}

/* Lets the metadata's extent refer to the object that now has its bytes. */
static int refer_to(struct root *root, struct extent *extent, char *take_path, struct err *err)
{
	if (vec_push(&root->image.owned, (void *)take_path, err) < 0) {
		free(take_path);
		return -1;
	}
	for (size_t i = 0; i < root->image.owned.len; i++) {
		if (root->image.owned.items[i] != extent->data)
			continue;
		free(root->image.owned.items[i]);
		root->image.owned.items[i] = root->image.owned.items[--root->image.owned.len];
		break;
	}
	extent->kind = EXTENT_FILE;
	extent->data = NULL;
	extent->path = take_path;
	extent->file_off = 0;
	return 0;
}

int root_remember(struct pool *pool, struct root *root, struct err *err)
{
	if (root->remembered)
		return 0;
	const struct squashfs_part *last = &root->layout.parts.items[root->layout.parts.len - 1];
	struct extent *extent = (struct extent *)image_extent_at(&root->image, last->off);
	struct digest metadata, recipe_object, other = metadata_key(&root->key);
	AUTO_BUF recipe = {0};
	if (pool_put(pool, extent->data, extent->len, &metadata, err) < 0 ||
		recipe_encode(root, &recipe, err) < 0 ||
		pool_put(pool, recipe.data, recipe.len, &recipe_object, err) < 0)
		return -1;
	if (pool_memo_put(pool, &other, &metadata, err) < 0 ||
		pool_memo_put(pool, &root->key, &recipe_object, err) < 0)
		return -1;
	char *path = pool_object_path(pool, &metadata, err);
	if (path == NULL || refer_to(root, extent, path, err) < 0)
		return -1;
	root->remembered = true;
	return 0;
}
