/* SPDX-License-Identifier: MIT */
/*
 * Puts the base archive together. Members are sorted by path, which brings drivers of one family
 * next to each other and so within the compressor's reach; everything is deterministic, so that the
 * archive has one name in every pool.
 */
#include "carrier/base.h"

#include "base/log.h"
#include "base/path.h"
#include "carrier/firmware.h"
#include "carrier/in_root.h"
#include "carrier/inflate.h"
#include "carrier/modinfo.h"
#include "carrier/modules.h"
#include "carrier/programs.h"
#include "carrier/trim.h"
#include "image/cpio/cpio.h"

#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

/* Changes with everything that changes the bytes for the same inputs. */
#define BASE_FORMAT "snowboot base 2"
/* The largest module of a distribution (amdgpu) has 30 MiB. */
#define MODULE_MAX ((size_t)512 << 20)
/* The kernel allocates the window before it unpacks (lib/decompress_unzstd.c); 8 MiB always fit. */
#define WINDOW_LOG 23
#define LEVEL 19
/* Of entries of four bytes. The level's own (24, 22, and a window of 24) take 102 MiB instead of
 * 33, and a quarter more time, for 1.5 % of the size. */
#define CHAIN_LOG 22
#define HASH_LOG 20

struct builder {
	const struct base_params *params;
	struct cpio cpio;
	struct strvec dirs;     /* made so far */
	struct strvec firmware; /* names that the modules ask for */
	struct base_stats stats;
};

static void builder_done(struct builder *b)
{
	cpio_done(&b->cpio);
	strvec_done(&b->dirs);
	strvec_done(&b->firmware);
}

static int put_dir(struct builder *b, const char *name, mode_t mode, struct err *err)
{
	if (strvec_has(&b->dirs, name))
		return 0;
	const struct cpio_entry entry = {.name = name, .mode = S_IFDIR | mode};
	if (strvec_push(&b->dirs, name, err) < 0)
		return -1;
	return cpio_put(&b->cpio, &entry, err);
}

/* The directories that hold `name`, outermost first. */
static int put_parents(struct builder *b, const char *name, struct err *err)
{
	AUTO_FREE char *dir = strdup(name);
	if (dir == NULL)
		return err_oom(err);
	for (char *slash = strchr(dir, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (put_dir(b, dir, 0755, err) < 0)
			return -1;
		*slash = '/';
	}
	return 0;
}

static int put_file(
	struct builder *b, const char *name, mode_t mode, const struct buf *data, struct err *err)
{
	if (put_parents(b, name, err) < 0)
		return -1;
	const struct cpio_entry entry = {
		.name = name, .mode = S_IFREG | mode, .data = data->data, .size = data->len};
	return cpio_put(&b->cpio, &entry, err);
}

static int put_skeleton(struct builder *b, struct err *err)
{
	static const struct {
		const char *name;
		mode_t mode;
	} dirs[] = {{"bin", 0755}, {"dev", 0755}, {"etc", 0755}, {"lib", 0755}, {"proc", 0555},
		{"run", 0755}, {"sbin", 0755}, {"sys", 0555}, {"tmp", 01777}};
	static const struct cpio_entry nodes[] = {
		{.name = "dev/console",
			.mode = S_IFCHR | 0600,
			.device_major = 5,
			.device_minor = 1},
		{.name = "dev/kmsg", .mode = S_IFCHR | 0600, .device_major = 1, .device_minor = 11},
		{.name = "dev/null", .mode = S_IFCHR | 0666, .device_major = 1, .device_minor = 3},
		/* stage 1 answers to that name; it obeys soft dependencies, which busybox's ignores
		 */
		{.name = "sbin/modprobe", .mode = S_IFLNK | 0777, .data = "../init", .size = 7},
	};
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (put_dir(b, dirs[i].name, dirs[i].mode, err) < 0)
			return -1;
	for (size_t i = 0; i < ARRAY_LEN(nodes); i++)
		if (cpio_put(&b->cpio, &nodes[i], err) < 0)
			return -1;
	return 0;
}

static int put_programs(struct builder *b, struct err *err)
{
	AUTO_BUF stage1 = {0}, busybox = {0};
	const char *platform = b->params->platform;
	if (programs_stage1(platform, &stage1, err) < 0 ||
		programs_busybox(platform, &busybox, err) < 0)
		return -1;
	if (put_file(b, "init", 0755, &stage1, err) < 0)
		return -1;
	return put_file(b, "bin/busybox", 0755, &busybox, err);
}

/* Remembers what firmware the module names. */
static int note_firmware(struct builder *b, const struct buf *elf, struct err *err)
{
	struct modinfo info;
	if (modinfo_read(elf->data, elf->len, &info, err) < 0)
		return -1;
	for (const char *name = NULL; (name = modinfo_value(&info, "firmware", name)) != NULL;)
		if (strvec_push(&b->firmware, name, err) < 0)
			return -1;
	return 0;
}

static int put_module(struct builder *b, const struct modules *modules, const struct module *module,
	struct err *err)
{
	ERR_SCOPE(err, "module '%s'", module->path);
	AUTO_FREE char *path = path_printf(err, "%s/%s", modules->dir, module->path);
	AUTO_FREE char *name = path_printf(err, "lib/modules/%s/%.*s", modules->release,
		(int)modules_plain_len(module->path), module->path);
	if (path == NULL || name == NULL)
		return -1;
	AUTO_BUF packed = {0}, elf = {0}, trimmed = {0};
	if (in_root_read(b->params->root, path, MODULE_MAX, &packed, err) < 0 ||
		inflate_bytes(packed.data, packed.len, MODULE_MAX, &elf, err) < 0 ||
		note_firmware(b, &elf, err) < 0)
		return -1;
	b->stats.modules++;
	if ((b->params->flags & BASE_WHOLE_MODULES) != 0)
		return put_file(b, name, 0444, &elf, err);
	if (trim_module(elf.data, elf.len, &trimmed, err) < 0)
		return -1;
	return put_file(b, name, 0444, &trimmed, err);
}

static int compare_paths(const void *a, const void *b)
{
	const struct module *const *x = a, *const *y = b;
	return strcmp((*x)->path, (*y)->path);
}

static int put_chosen(struct builder *b, const struct modules *modules, struct err *err)
{
	VEC(const struct module *) chosen = {0};
	int r = 0;
	VEC_FOREACH(module, &modules->items)
		if (r == 0 && module->chosen)
			r = vec_push(&chosen, module, err);
	if (chosen.len > 0)
		qsort(chosen.items, chosen.len, sizeof(*chosen.items), compare_paths);
	for (size_t i = 0; i < chosen.len && r == 0; i++)
		r = put_module(b, modules, chosen.items[i], err);
	vec_done(&chosen);
	return r;
}

static int put_tables(struct builder *b, const struct modules *modules, struct err *err)
{
	struct modules_table tables[MODULES_TABLES];
	if (modules_tables(modules, tables, err) < 0)
		return -1;
	int r = 0;
	for (size_t i = 0; i < MODULES_TABLES && r == 0; i++) {
		AUTO_FREE char *name =
			path_printf(err, "lib/modules/%s/%s", modules->release, tables[i].name);
		r = name != NULL ? put_file(b, name, 0444, &tables[i].text, err) : -1;
	}
	modules_tables_done(tables);
	return r;
}

static int put_modules(struct builder *b, struct err *err)
{
	const struct base_params *params = b->params;
	AUTO_MODULES modules = {0};
	if (modules_read(params->root, params->kernel_modules, params->release, &modules, err) < 0)
		return -1;
	if (modules_choose(&modules, params->modules, err) < 0)
		return -1;
	if (put_chosen(b, &modules, err) < 0)
		return -1;
	return put_tables(b, &modules, err);
}

static int put_firmware(struct builder *b, struct err *err)
{
	if (b->firmware.len == 0)
		return 0;
	strvec_sort(&b->firmware);
	for (size_t i = 0; i < b->firmware.len; i++) {
		const char *name = b->firmware.items[i];
		if (i > 0 && strcmp(name, b->firmware.items[i - 1]) == 0)
			continue;
		AUTO_BUF data = {0};
		int found = b->params->firmware == NULL
			? 0
			: firmware_read(b->params->root, b->params->firmware, name, &data, err);
		if (found < 0)
			return -1;
		if (found == 0) {
			log_debug("firmware '%s' is not in the system", name);
			b->stats.firmware_missing++;
			continue;
		}
		AUTO_FREE char *path = path_printf(err, "lib/firmware/%s", name);
		if (path == NULL || put_file(b, path, 0444, &data, err) < 0)
			return -1;
		b->stats.firmware++;
	}
	return 0;
}

static void free_zstd(ZSTD_CCtx **ctx)
{
	(void)ZSTD_freeCCtx(*ctx);
}

/* One thread: zstd's jobs would cut the matches, and the size is what counts here. */
static int compress(
	const struct image *plain, struct progress *progress, struct buf *out, struct err *err)
{
	AUTO(free_zstd) ZSTD_CCtx *ctx = ZSTD_createCCtx();
	if (ctx == NULL ||
		ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, LEVEL)) ||
		ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_windowLog, WINDOW_LOG)) ||
		ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_chainLog, CHAIN_LOG)) ||
		ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_hashLog, HASH_LOG)) ||
		ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 1)))
		return err_oom(err);
	AUTO_FREE uint8_t *piece = malloc(ZSTD_CStreamInSize());
	if (piece == NULL)
		return err_oom(err);
	for (uint64_t off = 0;;) {
		size_t len = ZSTD_CStreamInSize();
		bool last = plain->size - off <= len;
		if (last)
			len = (size_t)(plain->size - off);
		if (image_read(plain, off, piece, len, err) < 0)
			return -1;
		off += len;
		ZSTD_inBuffer in = {.src = piece, .size = len};
		size_t left;
		do {
			uint8_t *at = buf_reserve(out, ZSTD_CStreamOutSize(), err);
			if (at == NULL)
				return -1;
			ZSTD_outBuffer piece_out = {.dst = at, .size = ZSTD_CStreamOutSize()};
			left = ZSTD_compressStream2(
				ctx, &piece_out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
			if (ZSTD_isError(left))
				return err_raise(err, ERR_BUG, "zstd: %s", ZSTD_getErrorName(left));
			out->len += piece_out.pos;
		} while (last ? left != 0 : in.pos < in.size);
		progress_update(progress, off, NULL);
		if (last)
			return 0;
	}
}

/* CONFIG_RD_ZSTD came with Linux 5.9. */
static int check_release(const char *release, struct err *err)
{
	char *end;
	unsigned long major = strtoul(release, &end, 10);
	unsigned long minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
	if (major > 5 || (major == 5 && minor >= 9))
		return 0;
	return err_raise(err, ERR_UNSUPPORTED,
		"kernel '%s' cannot unpack zstd, which kernels from 5.9 on can", release);
}

int base_build(const struct base_params *params, struct progress *progress, struct buf *out,
	struct base_stats *ret_stats, struct err *err)
{
	ERR_SCOPE(err, "initramfs");
	AUTO(builder_done) struct builder b = {.params = params};
	AUTO_IMAGE plain = {0};
	if (check_release(params->release, err) < 0 ||
		store_bring(params->supply, params->kernel_modules, BRING_ALL, err) < 0 ||
		(params->firmware != NULL &&
			store_bring(params->supply, params->firmware, BRING_ALL, err) < 0))
		return -1;
	if (put_skeleton(&b, err) < 0 || put_programs(&b, err) < 0 || put_modules(&b, err) < 0 ||
		put_firmware(&b, err) < 0 || cpio_finish(&b.cpio, &plain, err) < 0)
		return -1;
	b.stats.plain_size = plain.size;
	progress_begin(progress, "compress initramfs", plain.size, "bytes");
	int r = compress(&plain, progress, out, err);
	progress_end(progress);
	if (r == 0)
		*ret_stats = b.stats;
	return r;
}

static void hash_text(struct sha256_ctx *ctx, const char *text)
{
	if (text == NULL)
		text = "";
	sha256_update(ctx, strlen(text) + 1, (const uint8_t *)text);
}

static void hash_digest(struct sha256_ctx *ctx, const struct buf *data)
{
	struct digest digest = digest_of(data->data, data->len);
	sha256_update(ctx, sizeof(digest.bytes), digest.bytes);
}

/* Store paths never change, so their names stand for modules and firmware. */
static int make_key(const struct base_params *params, struct digest *ret, struct err *err)
{
	AUTO_BUF stage1 = {0}, busybox = {0};
	if (programs_stage1(params->platform, &stage1, err) < 0 ||
		programs_busybox(params->platform, &busybox, err) < 0)
		return -1;
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	hash_text(&ctx, BASE_FORMAT);
	hash_text(&ctx, ZSTD_versionString());
	hash_text(&ctx, params->kernel_modules);
	hash_text(&ctx, params->release);
	hash_text(&ctx, params->firmware);
	hash_text(&ctx, params->modules);
	hash_text(&ctx, (params->flags & BASE_WHOLE_MODULES) != 0 ? "whole" : "trimmed");
	hash_digest(&ctx, &stage1);
	hash_digest(&ctx, &busybox);
	*ret = digest_finish(&ctx);
	return 0;
}

/* 1: kept; 0: it was collected, and has to be made again. */
static int pin(struct pool *pool, const struct digest *object, struct err *err)
{
	struct err local = ERR_INIT;
	if (pool_pin(pool, object, 1, &local) == 0)
		return 1;
	if (local.kind == ERR_NOT_FOUND)
		return 0;
	*err = local;
	return -1;
}

int base_get(struct pool *pool, const struct base_params *params, struct progress *progress,
	struct digest *ret, struct err *err)
{
	struct digest key;
	if (make_key(params, &key, err) < 0)
		return err_prefix(err, "initramfs");
	struct digest object;
	int r = pool_memo_get(pool, &key, &object, err);
	if (r < 0)
		return -1;
	if (r == 1) {
		r = pin(pool, &object, err);
		if (r != 0) {
			*ret = object;
			return r < 0 ? -1 : 0;
		}
	}
	AUTO_BUF data = {0};
	struct base_stats stats;
	if (base_build(params, progress, &data, &stats, err) < 0 ||
		pool_put(pool, data.data, data.len, &object, err) < 0 ||
		pool_memo_put(pool, &key, &object, err) < 0 || pool_pin(pool, &object, 1, err) < 0)
		return -1;
	log_debug("initramfs base: %zu modules, %zu firmware files (%zu missing), %ju → %zu bytes",
		stats.modules, stats.firmware, stats.firmware_missing, (uintmax_t)stats.plain_size,
		data.len);
	*ret = object;
	return 0;
}
