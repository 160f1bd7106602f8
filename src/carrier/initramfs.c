/* SPDX-License-Identifier: MIT */
/*
 * Concatenates the archives of an initramfs. The kernel unpacks each as it comes, compressed or
 * not, wherever it starts on 4 bytes (Documentation/driver-api/early-userspace/buffer-format.rst);
 * but microcode is found only at the very start. The image is the last member, uncompressed, so
 * that its bytes stay where they are: in the pool.
 */
#include "carrier/initramfs.h"

#include "base/bytes.h"
#include "base/fd.h"
#include "base/path.h"
#include "carrier/base.h"
#include "carrier/in_root.h"
#include "carrier/microcode.h"
#include "carrier/nix_database.h"
#include "carrier/system_plan.h"
#include "image/cpio/cpio.h"
#include "source/database.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define IMAGE_FILE "image.squashfs"
#define DATABASE_FOLDER "snowboot/db"

void initramfs_done(struct initramfs *initramfs)
{
	image_done(&initramfs->image);
}

static int refuse_large(const struct system *system, uint64_t size, struct err *err)
{
	err_raise(err, ERR_LIMIT,
		"the image of '%s' has %ju MiB, more than the %ju MiB that an initramfs may carry: "
		"firmware and kernel hold it twice while they unpack it",
		system->path, (uintmax_t)(size >> 20), (uintmax_t)(INITRAMFS_IMAGE_MAX >> 20));
	return err_hint(err, "a network root has no such limit: it fetches what is read");
}

/* The kernel refuses modules that we trimmed when it was told to check signatures. */
static bool checks_signatures(const struct system *system)
{
	static const char *const words[] = {"module.sig_enforce", "lockdown="};
	for (size_t i = 0; i < system->params.len; i++)
		for (size_t w = 0; w < ARRAY_LEN(words); w++)
			if (strncmp(system->params.items[i], words[w], strlen(words[w])) == 0)
				return true;
	return false;
}

static int put_microcode(int root, const struct initramfs_params *params,
	struct initramfs *initramfs, struct err *err)
{
	const struct system *system = params->system;
	if (system->initrd == NULL)
		return 0;
	AUTO_FD int fd = -1;
	if (store_bring(params->supply, system->initrd, BRING_FILE, err) < 0 ||
		in_root_open(root, system->initrd, O_RDONLY, &fd, err) < 0)
		return -1;
	uint64_t len;
	if (microcode_length(fd, system->initrd, &len, err) < 0)
		return -1;
	AUTO_FREE char *path = in_root_path(fd, err);
	if (path == NULL || image_append_file(&initramfs->image, path, 0, len, err) < 0)
		return -1;
	initramfs->microcode_size = len;
	return image_align(&initramfs->image, 4, err);
}

static int put_base(struct pool *pool, int root, const struct initramfs_params *params,
	struct progress *progress, struct initramfs *initramfs, struct err *err)
{
	const struct system *system = params->system;
	if (system->kernel_modules == NULL || system->kernel_release == NULL)
		return err_raise(err, ERR_UNSUPPORTED,
			"system '%s' has no kernel modules, so nothing says what its kernel can "
			"mount",
			system->path);
	const struct base_params base = {.root = root,
		.platform = system->double_,
		.kernel_modules = system->kernel_modules,
		.release = system->kernel_release,
		.firmware = system->firmware,
		.supply = params->supply,
		.modules = params->modules,
		.flags = checks_signatures(system) ? BASE_WHOLE_MODULES : 0};
	if (base_get(pool, &base, progress, &initramfs->base, err) < 0)
		return -1;
	AUTO_FREE char *path = pool_object_path(pool, &initramfs->base, err);
	struct stat st;
	if (path == NULL)
		return -1;
	if (stat(path, &st) < 0)
		return err_sys(err, "cannot read '%s'", path);
	initramfs->base_size = (uint64_t)st.st_size;
	if (image_append_file(&initramfs->image, path, 0, initramfs->base_size, err) < 0)
		return -1;
	return image_align(&initramfs->image, 4, err);
}

static int put_files(struct cpio *cpio, const struct buf *plan, struct nix_database *database,
	struct image *take_image, struct err *err)
{
	const struct cpio_entry entries[] = {
		{.name = "snowboot", .mode = S_IFDIR | 0755},
		{.name = "snowboot/plan",
			.mode = S_IFREG | 0444,
			.data = plan->data,
			.size = plan->len},
		{.name = DATABASE_FOLDER, .mode = S_IFDIR | 0755},
		{.name = DATABASE_FOLDER "/db.sqlite",
			.mode = S_IFREG | 0644,
			.take_contents = &database->sqlite},
		{.name = DATABASE_FOLDER "/registration",
			.mode = S_IFREG | 0444,
			.take_contents = &database->registration},
		{.name = DATABASE_FOLDER "/schema",
			.mode = S_IFREG | 0644,
			.data = DATABASE_SCHEMA,
			.size = strlen(DATABASE_SCHEMA)},
		{.name = IMAGE_FILE, .mode = S_IFREG | 0444, .take_contents = take_image},
	};
	for (size_t i = 0; i < ARRAY_LEN(entries); i++)
		if (cpio_put(cpio, &entries[i], err) < 0)
			return -1;
	return 0;
}

/* Objects are named by their contents, so the file name says all. */
static void hash_objects(struct sha256_ctx *ctx, const struct image *image)
{
	VEC_FOREACH(extent, &image->extents) {
		const char *name = path_basename(extent->path);
		sha256_update(ctx, strlen(name), (const uint8_t *)name);
	}
}

/* The names of everything that goes in: no byte of the image is read for it. */
static struct digest make_id(const struct initramfs *initramfs, const struct root *root,
	const struct nix_database *database, const struct buf *plan)
{
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	sha256_update(&ctx, plan->len, plan->data);
	sha256_update(&ctx, DIGEST_SIZE, initramfs->base.bytes);
	sha256_update(&ctx, DIGEST_SIZE, root->id.bytes);
	hash_objects(&ctx, &database->sqlite);
	hash_objects(&ctx, &database->registration);
	/* The microcode is that of the system, which the plan names. */
	uint8_t size[8];
	put_le64(size, initramfs->microcode_size);
	sha256_update(&ctx, sizeof(size), size);
	return digest_finish(&ctx);
}

static int put_own(struct pool *pool, const struct initramfs_params *params, struct root *take_root,
	struct initramfs *initramfs, struct err *err)
{
	AUTO_NIX_DATABASE database = {0};
	if (nix_database_make(pool, params->closure, &database, err) < 0)
		return -1;
	AUTO_PLAN plan = {0};
	AUTO_BUF text = {0};
	const struct system_plan_place place = {
		.image = "/" IMAGE_FILE, .database = "/" DATABASE_FOLDER};
	if (system_plan(params->system, take_root, &place, &plan, err) < 0 ||
		plan_encode(&plan, &text, err) < 0)
		return -1;
	AUTO_CPIO cpio = {0};
	initramfs->root_size = take_root->image.size;
	initramfs->id = make_id(initramfs, take_root, &database, &text);
	if (put_files(&cpio, &text, &database, &take_root->image, err) < 0)
		return -1;
	return cpio_finish(&cpio, &initramfs->image, err);
}

/* Microcode and base, which every initramfs begins with. */
static int put_common(struct pool *pool, const struct initramfs_params *params,
	struct progress *progress, struct initramfs *initramfs, struct err *err)
{
	AUTO_FD int root = -1;
	if (in_root_open_root(params->closure->store_dir, params->closure->real_dir, &root, err) <
		0)
		return -1;
	if (put_microcode(root, params, initramfs, err) < 0)
		return -1;
	return put_base(pool, root, params, progress, initramfs, err);
}

int initramfs_compose(struct pool *pool, const struct initramfs_params *params,
	struct root *take_root, struct progress *progress, struct initramfs *ret, struct err *err)
{
	if (take_root->image.size > INITRAMFS_IMAGE_MAX)
		return refuse_large(params->system, take_root->image.size, err);
	AUTO_INITRAMFS initramfs = {0};
	if (put_common(pool, params, progress, &initramfs, err) < 0 ||
		put_own(pool, params, take_root, &initramfs, err) < 0)
		return -1;
	*ret = initramfs;
	initramfs = (struct initramfs){0};
	return 0;
}

/* The name of the microcode is that of the initrd it is cut from. */
static struct digest make_node_id(
	const struct initramfs *initramfs, const struct system *system, const char *config)
{
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	const char *texts[] = {"node", system->initrd != NULL ? system->initrd : "", config};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		sha256_update(&ctx, strlen(texts[i]) + 1, (const uint8_t *)texts[i]);
	sha256_update(&ctx, DIGEST_SIZE, initramfs->base.bytes);
	return digest_finish(&ctx);
}

int initramfs_compose_node(struct pool *pool, const struct initramfs_params *params,
	const char *config, struct progress *progress, struct initramfs *ret, struct err *err)
{
	AUTO_INITRAMFS initramfs = {0};
	AUTO_CPIO cpio = {0};
	const struct cpio_entry folder = {.name = "snowboot", .mode = S_IFDIR | 0755};
	const struct cpio_entry file = {.name = "snowboot/node.conf",
		.mode = S_IFREG | 0444,
		.data = config,
		.size = strlen(config)};
	if (put_common(pool, params, progress, &initramfs, err) < 0 ||
		cpio_put(&cpio, &folder, err) < 0 || cpio_put(&cpio, &file, err) < 0 ||
		cpio_finish(&cpio, &initramfs.image, err) < 0)
		return -1;
	initramfs.id = make_node_id(&initramfs, params->system, config);
	*ret = initramfs;
	initramfs = (struct initramfs){0};
	return 0;
}
