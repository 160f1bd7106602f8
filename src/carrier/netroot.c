/* SPDX-License-Identifier: MIT */
/*
 * Puts a network root together. What nodes fetch are objects of the pool, so everything that is
 * not one yet (kernel, initramfs, plan, schema) becomes one; the catalog names them all, and is
 * itself remembered under a key of all that went in. A second composition only looks things up.
 */
#include "carrier/netroot.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "carrier/chunk_tables.h"
#include "carrier/nix_database.h"
#include "carrier/system_plan.h"
#include "source/database.h"
#include "tree/layout.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>

/* Changes when the same inputs give another catalog. */
#define COMPOSER "snowboot network root 1"
/* What stage 1 and its node agree on. */
#define NODE_IMAGE "/dev/nbd0"
#define NODE_DATABASE "/run/snowboot/db"
#define KERNEL_MAX ((size_t)512 << 20)
#define INITRAMFS_MAX ((size_t)1 << 30)

/* What goes into a catalog, before it is known whether that was made before. */
struct ingredients {
	const struct netroot_params *params;
	struct pool_segment *segments; /* in the order of the closure */
	bool *is_private;              /* likewise */
	struct root root;
	struct nix_database database;
	struct initramfs initramfs;
	struct buf plan;
	char *kernel; /* its file on this machine */
	char *cmdline;
	struct digest key; /* of all of this */
};

static void ingredients_done(struct ingredients *in)
{
	free(in->segments);
	free(in->is_private);
	root_done(&in->root);
	nix_database_done(&in->database);
	initramfs_done(&in->initramfs);
	buf_done(&in->plan);
	free(in->kernel);
	free(in->cmdline);
}

void netroot_done(struct netroot *netroot)
{
	free(TAKE_PTR(netroot->system));
	free(TAKE_PTR(netroot->kernel));
	free(TAKE_PTR(netroot->cmdline));
	image_done(&netroot->initramfs);
	catalog_done(&netroot->catalog);
	blob_done(&netroot->catalog_blob);
}

/*
 * Before Linux 6.2 an interface that is up cannot be renamed (bd039b5ea2a9, net/core/dev.c), and
 * stage 1 hands over one that is; a udev that tries leaves it under a name between two.
 */
static bool renames_only_when_down(const char *release)
{
	char *end;
	unsigned long major = strtoul(release, &end, 10);
	unsigned long minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
	return major < 6 || (major == 6 && minor < 2);
}

static char *make_cmdline(const struct netroot_params *params, struct err *err)
{
	static const char word[] = "net.ifnames=";
	const struct system *system = params->system;
	const char *append = params->append != NULL ? params->append : "";
	bool says = strstr(append, word) != NULL;
	for (size_t i = 0; i < system->params.len && !says; i++)
		says = strncmp(system->params.items[i], word, strlen(word)) == 0;
	if (says || system->kernel_release == NULL ||
		!renames_only_when_down(system->kernel_release))
		return netboot_cmdline(system, params->append, err);
	AUTO_FREE char *more =
		path_printf(err, "net.ifnames=0%s%s", append[0] != '\0' ? " " : "", append);
	return more != NULL ? netboot_cmdline(system, more, err) : NULL;
}

/* A pattern means the name with or without the hash in front of it. */
static bool is_excluded(const struct strvec *patterns, const char *name)
{
	const char *dash = strchr(name, '-');
	for (size_t i = 0; patterns != NULL && i < patterns->len; i++)
		if (fnmatch(patterns->items[i], name, 0) == 0 ||
			(dash != NULL && fnmatch(patterns->items[i], dash + 1, 0) == 0))
			return true;
	return false;
}

/* Excluded by a pattern, or by the store: what not everybody here may read goes to no peer. */
static int find_private(struct ingredients *in, struct err *err)
{
	const struct closure *closure = in->params->closure;
	in->is_private = calloc(closure->len + 1, sizeof(*in->is_private));
	if (in->is_private == NULL)
		return err_oom(err);
	for (size_t i = 0; i < closure->len; i++) {
		AUTO_FREE char *path = closure_real_path(closure, i, err);
		struct stat st;
		if (path == NULL)
			return -1;
		bool hidden = lstat(path, &st) == 0 && (st.st_mode & S_IROTH) == 0;
		const char *name = path_basename(closure->items[i].path);
		in->is_private[i] = hidden || is_excluded(in->params->exclude_from_peers, name);
	}
	return 0;
}

static int find_segments(struct pool *pool, struct ingredients *in, struct err *err)
{
	const struct closure *closure = in->params->closure;
	size_t missing;
	int found =
		pool_find_closure(pool, closure, in->params->pool, &in->segments, &missing, err);
	if (found != 0)
		return found < 0 ? -1 : 0;
	err_raise(err, ERR_NOT_FOUND, "'%s' is not in the pool '%s'", closure->items[missing].path,
		pool_dir(pool));
	return err_hint(err, "add it with 'snowboot pool add'");
}

static int make_plan(struct ingredients *in, struct err *err)
{
	AUTO_PLAN plan = {0};
	const struct system_plan_place place = {
		.image = NODE_IMAGE, .database = NODE_DATABASE, .verified = true};
	if (system_plan(in->params->system, &in->root, &place, &plan, err) < 0)
		return -1;
	return plan_encode(&plan, &in->plan, err);
}

static int make_initramfs(
	struct pool *pool, struct progress *progress, struct ingredients *in, struct err *err)
{
	const struct netroot_params *params = in->params;
	/* nbd by name: without it the failure should come here and not on the client. */
	AUTO_FREE char *modules =
		path_printf(err, "%s,nbd", params->modules != NULL ? params->modules : "netboot");
	if (modules == NULL)
		return -1;
	const struct initramfs_params initramfs = {.system = params->system,
		.closure = params->closure,
		.supply = params->supply,
		.modules = modules};
	return initramfs_compose_node(
		pool, &initramfs, params->config, progress, &in->initramfs, err);
}

static void hash_text(struct sha256_ctx *ctx, const char *text)
{
	sha256_update(ctx, strlen(text) + 1, (const uint8_t *)text);
}

/* Objects have their contents' hash for a name. */
static void hash_object(struct sha256_ctx *ctx, const struct image *image)
{
	VEC_FOREACH(extent, &image->extents)
		hash_text(ctx, path_basename(extent->path));
}

static void make_key(struct ingredients *in)
{
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	hash_text(&ctx, COMPOSER);
	hash_text(&ctx, in->params->system->kernel);
	hash_object(&ctx, &in->database.sqlite);
	hash_object(&ctx, &in->database.registration);
	sha256_update(&ctx, DIGEST_SIZE, in->root.key.bytes);
	sha256_update(&ctx, DIGEST_SIZE, in->initramfs.id.bytes);
	sha256_update(&ctx, in->plan.len, in->plan.data);
	const struct closure *closure = in->params->closure;
	for (size_t i = 0; i < closure->len; i++)
		if (in->is_private[i])
			hash_text(&ctx, closure->items[i].path);
	in->key = digest_finish(&ctx);
}

static int gather(
	struct pool *pool, struct progress *progress, struct ingredients *in, struct err *err)
{
	const struct netroot_params *params = in->params;
	uint64_t kernel_size;
	const struct initramfs_params files = {
		.system = params->system, .closure = params->closure, .supply = params->supply};
	in->cmdline = make_cmdline(params, err);
	if (in->cmdline == NULL || netboot_kernel(&files, &in->kernel, &kernel_size, err) < 0)
		return -1;
	if (find_segments(pool, in, err) < 0 || find_private(in, err) < 0 ||
		root_compose(pool, params->closure, params->pool, &in->root, err) < 0)
		return -1;
	struct err tolerated = ERR_INIT;
	if (root_remember(pool, &in->root, &tolerated) < 0)
		log_ignored(&tolerated);
	if (nix_database_make(pool, params->closure, &in->database, err) < 0 ||
		make_plan(in, err) < 0 || make_initramfs(pool, progress, in, err) < 0)
		return -1;
	make_key(in);
	return 0;
}

/* What no named part covers is generated: superblock, padding, tables. */
static int hash_metadata(const struct root *root, struct digest *ret, struct err *err)
{
	AUTO_FREE uint8_t *piece = malloc(PIECE_SIZE);
	if (piece == NULL)
		return err_oom(err);
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	uint64_t at = 0;
	for (size_t i = 0; i <= root->layout.parts.len; i++) {
		const struct squashfs_part *part = &root->layout.parts.items[i];
		bool last = i == root->layout.parts.len;
		if (!last && part->name == NULL)
			continue;
		for (uint64_t end = last ? root->image.size : part->off; at < end;) {
			size_t len = end - at < PIECE_SIZE ? (size_t)(end - at) : PIECE_SIZE;
			if (image_read(&root->image, at, piece, len, err) < 0)
				return -1;
			sha256_update(&ctx, len, piece);
			at += len;
		}
		if (!last)
			at = part->off + part->len;
	}
	*ret = digest_finish(&ctx);
	return 0;
}

/* Stores bytes as an object and adds them to the catalog. */
static int put_file(struct pool *pool, struct catalog *catalog, const char *name, const void *data,
	size_t size, struct err *err)
{
	struct catalog_file file = {.name = strdup(name)};
	struct digest object;
	int r = file.name != NULL ? 0 : err_oom(err);
	if (r == 0)
		r = pool_put(pool, data, size, &object, err);
	if (r == 0)
		r = blob_of(data, size, &file.blob, err);
	if (r == 0)
		r = vec_push(&catalog->files, file, err);
	if (r < 0) {
		free(file.name);
		blob_done(&file.blob);
	}
	return r;
}

static int put_image(struct pool *pool, struct catalog *catalog, const char *name,
	const struct image *image, struct err *err)
{
	if (image->size > INITRAMFS_MAX)
		return err_raise(err, ERR_LIMIT, "'%s' has %ju bytes > max %zu", name,
			(uintmax_t)image->size, INITRAMFS_MAX);
	AUTO_FREE uint8_t *bytes = malloc(image->size + 1);
	if (bytes == NULL)
		return err_oom(err);
	if (image_read(image, 0, bytes, image->size, err) < 0)
		return -1;
	return put_file(pool, catalog, name, bytes, image->size, err);
}

/* In the order of their names. */
static int put_files(
	struct pool *pool, const struct ingredients *in, struct catalog *catalog, struct err *err)
{
	AUTO_BUF kernel = {0};
	if (fd_read_file(AT_FDCWD, in->kernel, KERNEL_MAX, &kernel, err) < 0)
		return -1;
	if (put_image(pool, catalog, "db.sqlite", &in->database.sqlite, err) < 0 ||
		put_image(pool, catalog, "initramfs", &in->initramfs.image, err) < 0 ||
		put_file(pool, catalog, "kernel", kernel.data, kernel.len, err) < 0 ||
		put_file(pool, catalog, "plan", in->plan.data, in->plan.len, err) < 0)
		return -1;
	if (put_image(pool, catalog, "registration", &in->database.registration, err) < 0)
		return -1;
	return put_file(pool, catalog, "schema", DATABASE_SCHEMA, strlen(DATABASE_SCHEMA), err);
}

static int compare_members(const void *a, const void *b)
{
	const struct catalog_member *x = a, *y = b;
	return strcmp(x->name, y->name);
}

/* `tables` are emptied as they are taken. */
static int put_members(const struct ingredients *in, const struct pool_trees *trees,
	struct blob *tables, struct catalog *catalog, struct err *err)
{
	const struct closure *closure = in->params->closure;
	for (size_t i = 0; i < closure->len; i++) {
		const struct tree *tree = &trees->items[i];
		struct catalog_member member = {
			.name = strdup(path_basename(closure->items[i].path)),
			.is_private = in->is_private[i]};
		const uint8_t *bytes = tree->fragments - TREE_HEADER_SIZE;
		if (member.name == NULL || vec_push(&catalog->members, member, err) < 0) {
			free(member.name);
			return err_clean(err) ? err_oom(err) : -1;
		}
		struct catalog_member *put = &catalog->members.items[catalog->members.len - 1];
		put->chunks = tables[i];
		tables[i] = (struct blob){0};
		if (blob_of(bytes, (uint64_t)(tree->end - bytes), &put->tree, err) < 0)
			return -1;
	}
	if (closure->len > 1)
		qsort(catalog->members.items, catalog->members.len, sizeof(struct catalog_member),
			compare_members);
	return 0;
}

/* Makes the catalog and remembers it. */
static int make_catalog(struct pool *pool, const struct ingredients *in, struct progress *progress,
	struct netroot *netroot, struct err *err)
{
	struct catalog *catalog = &netroot->catalog;
	size_t count = in->params->closure->len;
	AUTO_POOL_TREES trees = {0};
	AUTO_BUF bytes = {0};
	struct blob *tables;
	struct digest object;
	if (pool_load_trees(pool, in->segments, count, &trees, err) < 0 ||
		chunk_tables_get(pool, in->segments, &trees, in->params->pool->jobs, progress,
			&tables, err) < 0)
		return -1;
	int r = put_members(in, &trees, tables, catalog, err);
	chunk_tables_free(tables, count);
	if (r < 0)
		return -1;
	catalog->image_size = in->root.image.size;
	if (hash_metadata(&in->root, &catalog->metadata, err) < 0 ||
		put_files(pool, in, catalog, err) < 0 || catalog_encode(catalog, &bytes, err) < 0)
		return -1;
	if (pool_put(pool, bytes.data, bytes.len, &object, err) < 0 ||
		pool_memo_put(pool, &in->key, &object, err) < 0)
		return -1;
	return blob_of(bytes.data, bytes.len, &netroot->catalog_blob, err);
}

/* Keeps everything that the catalog names; the segments are pinned with the root. */
static int pin_all(struct pool *pool, const struct catalog *catalog, struct err *err)
{
	VEC(struct digest) objects = {0};
	int r = 0;
	VEC_FOREACH(member, &catalog->members) {
		if (r == 0)
			r = vec_push(&objects, member->tree.digest, err);
		if (r == 0 && member->chunks.size > 0)
			r = vec_push(&objects, member->chunks.digest, err);
	}
	VEC_FOREACH(file, &catalog->files)
		if (r == 0 && file->blob.size > 0)
			r = vec_push(&objects, file->blob.digest, err);
	if (r == 0)
		r = pool_pin(pool, objects.items, objects.len, err);
	vec_done(&objects);
	return r;
}

/* 1 when the catalog was made before and all that it names is still there. */
static int look_up(
	struct pool *pool, const struct ingredients *in, struct netroot *netroot, struct err *err)
{
	struct digest object;
	AUTO_BUF bytes = {0};
	AUTO_CATALOG catalog = {0};
	int found = pool_memo_get(pool, &in->key, &object, err);
	if (found <= 0)
		return found;
	struct err gone = ERR_INIT;
	if (pool_pin(pool, &object, 1, &gone) < 0 || pool_get(pool, &object, &bytes, &gone) < 0 ||
		catalog_decode(bytes.data, bytes.len, &catalog, &gone) < 0 ||
		pin_all(pool, &catalog, &gone) < 0)
		return 0;
	if (blob_of(bytes.data, bytes.len, &netroot->catalog_blob, err) < 0)
		return -1;
	netroot->catalog = catalog;
	catalog = (struct catalog){0};
	return 1;
}

/* The names of all that a machine boots. */
static struct digest make_id(const struct netroot *netroot)
{
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	hash_text(&ctx, netroot->cmdline);
	sha256_update(&ctx, DIGEST_SIZE, netroot->catalog_blob.digest.bytes);
	return digest_finish(&ctx);
}

/* Kernel and initramfs are served from the pool, where nothing takes them away. */
static int refer_to_objects(struct pool *pool, struct netroot *netroot, struct err *err)
{
	const struct catalog_file *kernel = catalog_file(&netroot->catalog, "kernel");
	const struct catalog_file *initramfs = catalog_file(&netroot->catalog, "initramfs");
	if (kernel == NULL || initramfs == NULL)
		return err_raise(err, ERR_CORRUPT, "catalog without a kernel or an initramfs");
	AUTO_FREE char *path = pool_object_path(pool, &initramfs->blob.digest, err);
	netroot->kernel = pool_object_path(pool, &kernel->blob.digest, err);
	netroot->kernel_size = kernel->blob.size;
	if (path == NULL || netroot->kernel == NULL)
		return -1;
	return image_append_file(&netroot->initramfs, path, 0, initramfs->blob.size, err);
}

int netroot_compose(struct pool *pool, const struct netroot_params *params,
	struct progress *progress, struct netroot *ret, struct err *err)
{
	AUTO(ingredients_done) struct ingredients in = {.params = params};
	AUTO_NETROOT netroot = {0};
	if (gather(pool, progress, &in, err) < 0)
		return -1;
	int found = look_up(pool, &in, &netroot, err);
	if (found < 0 || (found == 0 && make_catalog(pool, &in, progress, &netroot, err) < 0))
		return -1;
	if (found == 0 && pin_all(pool, &netroot.catalog, err) < 0)
		return -1;
	if (refer_to_objects(pool, &netroot, err) < 0)
		return -1;
	netroot.system = strdup(params->system->path);
	netroot.cmdline = TAKE_PTR(in.cmdline);
	if (netroot.system == NULL)
		return err_oom(err);
	netroot.id = make_id(&netroot);
	*ret = netroot;
	netroot = (struct netroot){0};
	return 0;
}
