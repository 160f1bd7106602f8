/* SPDX-License-Identifier: MIT */
#ifndef CARRIER_NETBOOT_H
#define CARRIER_NETBOOT_H

/* What a boot loader needs to boot a system into RAM: kernel, initrd and command line. */

#include "carrier/initramfs.h"

struct netboot_params {
	const struct system *system;
	const struct closure *closure;
	const struct store_supply *supply; /* brings the closure's files; NULL: they are there */
	const struct pool_params *pool;    /* how the segments of the closure were made */
	const char *modules;               /* as modules_choose() takes them; NULL: "netboot" */
	const char *append;                /* the user's words for the command line, or NULL */
};

struct netboot {
	char *kernel; /* file name on this machine */
	uint64_t kernel_size;
	struct initramfs initrd;
	char *cmdline;
	struct digest id; /* names kernel, initrd and command line */
};

#define AUTO_NETBOOT AUTO(netboot_done) struct netboot

void netboot_done(struct netboot *netboot);

/*
 * Composes all of it. The pool must have the closure's segments (pool_add()). Fails as
 * root_compose(), initramfs_compose() and netboot_cmdline() do; ERR_NOT_FOUND without a kernel.
 */
int netboot_compose(struct pool *pool, const struct netboot_params *params,
	struct progress *progress, struct netboot *ret, struct err *err);

/*
 * The kernel command line: the system's own parameters verbatim, init= exactly once, fstab=no (the
 * disks of the machine the system was built for are not here), rootfstype=ramfs unless root= or
 * rootfstype= stand there already (so that the initramfs is not bounded by half the RAM), then
 * `append` (may be NULL). Caller owns it. NULL with ERR_UNSUPPORTED or ERR_USAGE when the system or
 * the user brings a bare -- or an init= of their own, ERR_LIMIT beyond what an x86 kernel keeps.
 */
char *netboot_cmdline(const struct system *system, const char *append, struct err *err);

/* The kernel's file on this machine, which the caller owns, and its size in bytes. ERR_NOT_FOUND,
 * ERR_CORRUPT. */
int netboot_kernel(const struct initramfs_params *params, char **ret_path, uint64_t *ret_size,
	struct err *err);

/*
 * RAM that a machine needs to boot this, in bytes: the largest of
 * - while the kernel unpacks: kernel + packed initrd + unpacked initramfs + 96 MiB,
 * - the running system: the image + 384 MiB for stage 2 and its services.
 * The base is taken to unpack to five times its size (measured: 3.3 to 4.8 times).
 */
uint64_t netboot_memory(const struct netboot *netboot);

#endif
