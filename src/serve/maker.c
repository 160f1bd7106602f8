/* SPDX-License-Identifier: MIT */
/* How a boot is made: hold the store path, read the system, fill the pool, compose. */
#include "carrier/netboot.h"

#include "base/log.h"
#include "base/path.h"
#include "pool/pool.h"
#include "serve/boot.h"
#include "source/store.h"
#include "system/system.h"

#include <stdio.h>
#include <string.h>

struct boot_maker {
	struct boot_options options;
	struct store *store;
	struct pool *pool;
};

static int open_pool(struct boot_maker *maker, struct err *err)
{
	AUTO_FREE char *usual = NULL;
	const char *dir = maker->options.pool_dir;
	if (dir == NULL) {
		usual = pool_default_dir(err);
		dir = usual;
	}
	return dir == NULL ? -1 : pool_open(dir, 0, &maker->pool, err);
}

int boot_maker_open(const struct boot_options *options, struct boot_maker **ret, struct err *err)
{
	struct boot_maker *maker = calloc(1, sizeof(*maker));
	if (maker == NULL)
		return err_oom(err);
	maker->options = *options;
	if (store_open("", &maker->store, err) < 0 || open_pool(maker, err) < 0) {
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
	store_close(maker->store);
	free(maker);
	return NULL;
}

static int compose(struct boot_maker *maker, const char *toplevel, struct progress *progress,
	struct netboot *ret, struct err *err)
{
	AUTO_SYSTEM system = {0};
	AUTO_CLOSURE closure = {0};
	const struct pool_params pool_params = {.level = maker->options.level};
	const struct netboot_params params = {
		.system = &system,
		.closure = &closure,
		.pool = &pool_params,
		.modules = maker->options.modules,
		.append = maker->options.append,
	};
	/* Held before it is looked at, so that nothing of it goes away in between. */
	if (store_hold(maker->store, toplevel, err) < 0 ||
		system_read(toplevel, store_dir(maker->store), store_real_dir(maker->store),
			&system, err) < 0 ||
		store_closure(maker->store, toplevel, &closure, err) < 0 ||
		pool_add(maker->pool, &closure, &pool_params, progress, err) < 0)
		return -1;
	return netboot_compose(maker->pool, &params, progress, ret, err);
}

/* Moves what is served out of the netboot. */
static int fill(struct boot *boot, const char *toplevel, struct netboot *netboot, struct err *err)
{
	char hex[DIGEST_HEX_SIZE];
	digest_hex(&netboot->id, hex);
	snprintf(boot->kernel_etag, sizeof(boot->kernel_etag), "\"%.40s-kernel\"", hex);
	snprintf(boot->initrd_etag, sizeof(boot->initrd_etag), "\"%.40s-initrd\"", hex);
	boot->cmdline = TAKE_PTR(netboot->cmdline);
	boot->initrd = netboot->initrd.image;
	netboot->initrd.image = (struct image){0};
	boot->name = path_printf(err, "%s", path_basename(toplevel));
	if (boot->name == NULL)
		return -1;
	return image_append_file(&boot->kernel, netboot->kernel, 0, netboot->kernel_size, err);
}

int boot_make(struct boot_maker *maker, const char *toplevel, struct progress *progress,
	struct boot **ret, struct err *err)
{
	AUTO_NETBOOT netboot = {0};
	if (compose(maker, toplevel, progress, &netboot, err) < 0)
		return -1;
	log_info("a machine that boots '%s' needs %llu MiB of RAM", path_basename(toplevel),
		(unsigned long long)(netboot_memory(&netboot) >> 20));
	struct boot *boot = calloc(1, sizeof(*boot));
	if (boot == NULL)
		return err_oom(err);
	boot->references = 1;
	if (fill(boot, toplevel, &netboot, err) < 0) {
		boot_unref(boot);
		return -1;
	}
	*ret = boot;
	return 0;
}
