/* SPDX-License-Identifier: MIT */
#ifndef CARRIER_NETROOT_H
#define CARRIER_NETROOT_H

/*
 * What a diskless machine needs to boot a system off the network: kernel, a small initramfs without
 * the image, command line, and the catalog that a manifest names. Every object it refers to is in
 * the pool and pinned.
 */

#include "carrier/netboot.h"
#include "manifest/catalog.h"
#include "manifest/manifest.h"

struct netroot_params {
	const struct system *system;
	const struct closure *closure;
	const struct store_supply *supply; /* brings the closure's files; NULL: they are there */
	const struct pool_params *pool;
	const char *modules; /* NULL: "netboot" */
	const char *append;
	const struct strvec *exclude_from_peers; /* globs over store path names, or NULL */
	const char *config; /* node configuration that lies in the initramfs (node/node.h) */
};

struct netroot {
	char *system; /* toplevel store path */
	char *kernel; /* file name on this machine: an object of the pool */
	uint64_t kernel_size;
	struct image initramfs;
	char *cmdline;
	struct catalog catalog;
	struct blob catalog_blob; /* an object of the pool */
	struct digest id;         /* names kernel, initramfs, command line and catalog */
};

#define AUTO_NETROOT AUTO(netroot_done) struct netroot
void netroot_done(struct netroot *netroot);

int netroot_compose(struct pool *pool, const struct netroot_params *params,
	struct progress *progress, struct netroot *ret, struct err *err);

/*
 * Issues a manifest for it under `name`: the serial is one more than the last in `state_dir`
 * (serials/NAME, replaced durably before the manifest is given out), unless the last one issued
 * there is for the same bytes and more than half of its time is left. Signed by all keys.
 */
struct netroot_issue {
	const char *name;
	const char *state_dir;
	const struct secret_key *keys;
	size_t key_count;
	int64_t now, lifetime; /* seconds */
};
int netroot_issue(const struct netroot *netroot, const struct netroot_issue *issue,
	struct manifest *ret, struct err *err);

/* The serial of the last one that was issued there under `name`; 0: none was. */
int netroot_last_serial(const char *state_dir, const char *name, uint64_t *ret, struct err *err);

#endif
