/* SPDX-License-Identifier: MIT */
/*
 * How a boot is made: find the system and fill the pool, compose; for a network root then collect
 * what nodes may fetch, and sign.
 */
#include "serve/boot.h"

#include "base/log.h"
#include "base/path.h"
#include "carrier/netroot.h"
#include "node/node.h"
#include "pool/pool.h"
#include "system/link.h"
#include "system/system.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* What a node's peers connect to, unless its configuration says otherwise. */
#define NODE_PORT 8470

struct boot_maker {
	struct boot_options options;
	struct pool *pool;
};

/* What there is to know of a system before its boot is composed. */
struct ingredients {
	struct system system;
	struct acquired acquired;
	struct pool_params pool;
};

static void ingredients_done(struct ingredients *in)
{
	system_done(&in->system);
	acquired_done(&in->acquired);
}

static int open_pool(struct boot_maker *maker, struct err *err)
{
	AUTO_FREE char *usual = NULL;
	const char *dir = maker->options.pool_dir;
	if (dir == NULL) {
		usual = pool_default_dir(err);
		dir = usual;
	}
	return dir == NULL
		? -1
		: pool_open(dir, maker->options.read_only ? POOL_READ_ONLY : 0, &maker->pool, err);
}

int boot_maker_open(const struct boot_options *options, struct boot_maker **ret, struct err *err)
{
	struct boot_maker *maker = calloc(1, sizeof(*maker));
	if (maker == NULL)
		return err_oom(err);
	maker->options = *options;
	if (open_pool(maker, err) < 0) {
		boot_maker_close(maker);
		return -1;
	}
	*ret = maker;
	return 0;
}

struct boot_maker *boot_maker_close(struct boot_maker *maker)
{
	if (maker == NULL)
		return NULL;
	pool_close(maker->pool);
	free(maker);
	return NULL;
}

static int gather(struct boot_maker *maker, const struct boot_source *source,
	struct progress *progress, struct ingredients *in, struct err *err)
{
	in->pool = (struct pool_params){.level = maker->options.level};
	const struct acquire_into into = {
		.pool = maker->pool,
		.params = &in->pool,
		.system = &in->system,
		.specialisation = source->specialisation,
		.progress = progress,
	};
	return acquire(maker->options.acquirer, source->system, &into, &in->acquired, err);
}

/* Takes kernel and initrd over; `id` names their bytes. */
static int fill(struct boot *boot, const struct digest *id, const char *kernel,
	uint64_t kernel_size, struct image *take_initrd, struct err *err)
{
	char hex[DIGEST_HEX_SIZE];
	digest_hex(id, hex);
	snprintf(boot->kernel_etag, sizeof(boot->kernel_etag), "\"%.40s-kernel\"", hex);
	snprintf(boot->initrd_etag, sizeof(boot->initrd_etag), "\"%.40s-initrd\"", hex);
	boot->initrd = *take_initrd;
	*take_initrd = (struct image){0};
	return image_append_file(&boot->kernel, kernel, 0, kernel_size, err);
}

static int make_ram(struct boot_maker *maker, const struct ingredients *in,
	struct progress *progress, struct boot *boot, struct err *err)
{
	AUTO_NETBOOT netboot = {0};
	const struct netboot_params params = {
		.system = &in->system,
		.closure = &in->acquired.closure,
		.supply = acquired_supply(&in->acquired),
		.pool = &in->pool,
		.modules = maker->options.modules,
		.append = maker->options.append,
	};
	if (netboot_compose(maker->pool, &params, progress, &netboot, err) < 0)
		return -1;
	boot->memory = netboot_memory(&netboot);
	log_info("a machine that boots '%s' needs %llu MiB of RAM", boot->name,
		(unsigned long long)(boot->memory >> 20));
	boot->cmdline = TAKE_PTR(netboot.cmdline);
	return fill(
		boot, &netboot.id, netboot.kernel, netboot.kernel_size, &netboot.initrd.image, err);
}

/*
 * What the node in the initramfs is told. It asks for the manifest by the system's own name, not as
 * "default", so that a kernel never gets the image of the system that a profile was switched to
 * while it started.
 */
static int node_text(
	const struct boot_options *options, const char *name, struct buf *out, struct err *err)
{
	struct node_config config = {
		.name = (char *)name,
		.peers = options->node.peers,
		.complete = options->node.complete,
		.port = NODE_PORT,
		.state_dir = (char *)"/run/snowboot",
		.boot_files = options->node.boot_files,
	};
	config.keys.items = options->signer->trusted.items; /* all of it is borrowed */
	config.keys.len = options->signer->trusted.len;
	if (options->node.site != NULL)
		snprintf(config.site, sizeof(config.site), "%s", options->node.site);
	return node_config_encode(&config, out, err);
}

static int issue(const struct boot_options *options, const struct netroot *netroot,
	const char *name, struct issue *ret, struct err *err)
{
	const struct netroot_issue params = {
		.name = name,
		.state_dir = options->state_dir,
		.keys = options->signer->keys.items,
		.key_count = options->signer->keys.len,
		.now = time(NULL),
		.lifetime = options->lifetime,
	};
	AUTO_MANIFEST manifest = {0};
	AUTO_BUF text = {0};
	if (netroot_issue(netroot, &params, &manifest, err) < 0 ||
		manifest_encode(&manifest, &text, err) < 0)
		return -1;
	*ret = (struct issue){
		.len = text.len, .serial = manifest.serial, .expires = manifest.expires};
	ret->text = buf_take_str(&text, err);
	return ret->text != NULL ? 0 : -1;
}

static int issue_all(const struct boot_options *options, const struct netroot *netroot,
	bool as_default, struct boot *boot, struct err *err)
{
	if (issue(options, netroot, boot->name, &boot->own, err) < 0)
		return -1;
	return as_default
		? issue(options, netroot, options->alias != NULL ? options->alias : "default",
			  &boot->as_default, err)
		: 0;
}

static int make_net(struct boot_maker *maker, const struct ingredients *in, bool as_default,
	struct progress *progress, struct boot *boot, struct err *err)
{
	const struct boot_options *o = &maker->options;
	AUTO_NETROOT netroot = {0};
	AUTO_BUF config = {0};
	const char *more = o->append != NULL ? o->append : "";
	AUTO_FREE char *append =
		path_printf(err, "%s%s", o->root == ROOT_COPY ? BOOT_COPY_WORD " " : "", more);
	if (append == NULL || node_text(o, boot->name, &config, err) < 0)
		return -1;
	const struct netroot_params params = {
		.system = &in->system,
		.closure = &in->acquired.closure,
		.supply = acquired_supply(&in->acquired),
		.pool = &in->pool,
		.modules = o->modules,
		.append = append[0] != '\0' ? append : NULL,
		.exclude_from_peers = o->excluded,
		.config = buf_str(&config, err),
	};
	if (params.config == NULL ||
		netroot_compose(maker->pool, &params, progress, &netroot, err) < 0 ||
		object_set_read(maker->pool, &netroot.catalog, &netroot.catalog_blob,
			&boot->objects, err) < 0 ||
		issue_all(o, &netroot, as_default, boot, err) < 0)
		return -1;
	boot->network = true;
	boot->catalog_digest = netroot.catalog_blob.digest;
	boot->image_size = netroot.catalog.image_size;
	boot->catalog = netroot.catalog;
	netroot.catalog = (struct catalog){0};
	boot->cmdline = TAKE_PTR(netroot.cmdline);
	char day[16];
	struct tm tm;
	time_t expires = boot->own.expires;
	strftime(day, sizeof(day), "%Y-%m-%d", gmtime_r(&expires, &tm));
	log_info("'%s' is signed: issue %llu, may be booted until %s", boot->name,
		(unsigned long long)boot->own.serial, day);
	return fill(
		boot, &netroot.id, netroot.kernel, netroot.kernel_size, &netroot.initramfs, err);
}

/* Of a system that has hardware.deviceTree. U-Boot can load only what lies in its folder. */
static int find_device_trees(const struct ingredients *in, struct boot *boot, struct err *err)
{
	const struct closure *closure = &in->acquired.closure;
	const struct store_view view = {.dir = closure->store_dir,
		.real_dir = closure->real_dir,
		.supply = acquired_supply(&in->acquired)};
	const char *folder = in->system.device_trees, *named = in->system.device_tree;
	if (folder == NULL)
		return 0;
	if (store_bring(view.supply, folder, BRING_ALL, err) < 0)
		return -1;
	boot->device_trees = link_real(&view, folder, err);
	if (boot->device_trees == NULL)
		return -1;
	size_t len = strlen(folder);
	if (named == NULL)
		return 0;
	if (strncmp(named, folder, len) != 0 || named[len] != '/') {
		log_warning("'%s' is not below 'dtbs' of '%s', ignoring", named, boot->name);
		return 0;
	}
	boot->device_tree = strdup(named + len + 1);
	return boot->device_tree == NULL ? err_oom(err) : 0;
}

/* Firmware that boots by HTTP is not all that there is: without an image it gets an error. */
static void prepare_uki(
	const struct boot_maker *maker, const struct ingredients *in, struct boot *boot)
{
	const struct uki_params params = {
		.system = &in->system,
		.closure = &in->acquired.closure,
		.supply = acquired_supply(&in->acquired),
		.stubs = maker->options.stubs,
		.kernel = boot->kernel.extents.items[0].path,
		.kernel_size = boot->kernel.size,
	};
	if (uki_prepare(&params, &boot->uki, &boot->uki_failure) < 0)
		log_info("no UEFI HTTP boot of '%s': %s%s%s", boot->name, boot->uki_failure.msg,
			boot->uki_failure.hint[0] != '\0' ? "\nhint: " : "",
			boot->uki_failure.hint);
}

static int name_boot(const struct ingredients *in, struct boot *boot, struct err *err)
{
	const struct system *system = &in->system;
	boot->name = strdup(path_basename(in->acquired.path));
	boot->kernel_path = strdup(system->kernel);
	boot->system = strdup(system->double_ != NULL ? system->double_ : "");
	return boot->name != NULL && boot->kernel_path != NULL && boot->system != NULL
		? 0
		: err_oom(err);
}

int boot_make(struct boot_maker *maker, const struct boot_source *source, struct progress *progress,
	struct boot **ret, struct err *err)
{
	AUTO(ingredients_done) struct ingredients in = {0};
	if (gather(maker, source, progress, &in, err) < 0)
		return -1;
	struct boot *boot = calloc(1, sizeof(*boot));
	if (boot == NULL)
		return err_oom(err);
	boot->references = 1;
	int r = name_boot(&in, boot, err);
	if (r == 0)
		r = find_device_trees(&in, boot, err);
	if (r == 0)
		r = maker->options.root == ROOT_RAM
			? make_ram(maker, &in, progress, boot, err)
			: make_net(maker, &in, source->as_default, progress, boot, err);
	if (r == 0 && maker->options.stubs != NULL)
		prepare_uki(maker, &in, boot);
	/* A server that runs for years renews its boots. */
	if (r < 0 || (boot->network && boot->device_trees == NULL))
		acquired_remove_files(&in.acquired);
	if (r < 0) {
		boot_unref(boot);
		return -1;
	}
	*ret = boot;
	return 0;
}
