/* SPDX-License-Identifier: MIT */
#ifndef CARRIER_INITRAMFS_H
#define CARRIER_INITRAMFS_H

/*
 * The initramfs that carries a system's root image: microcode of the system's own initrd, the base
 * (base.h), and an archive of its own with the hand-over plan, the Nix database and the image.
 * docs/internals/initramfs.md describes it.
 */

#include "base/progress.h"
#include "carrier/root.h"
#include "image/image.h"
#include "system/system.h"

/* A larger image must not ride in an initramfs: bytes. */
#define INITRAMFS_IMAGE_MAX ((uint64_t)1 << 30)

struct initramfs_params {
	const struct system *system;
	const struct closure *closure;
	const struct store_supply *supply; /* brings the closure's files; NULL: they are there */
	const char *modules;               /* sets and names, as modules_choose() takes them */
};

struct initramfs {
	struct image image;
	uint64_t microcode_size, base_size, root_size; /* bytes, as they lie in the image */
	struct digest base;                            /* the base's object */
	struct digest id;                              /* names the contents */
};

#define AUTO_INITRAMFS AUTO(initramfs_done) struct initramfs

void initramfs_done(struct initramfs *initramfs);

/*
 * Puts it together around a composed root, whose image is empty afterwards. Objects it refers to
 * are pinned. ERR_LIMIT, with the sizes, for an image above INITRAMFS_IMAGE_MAX; ERR_UNSUPPORTED
 * for a kernel without modules or one that cannot mount an image; else as the parts fail.
 */
int initramfs_compose(struct pool *pool, const struct initramfs_params *params,
	struct root *take_root, struct progress *progress, struct initramfs *ret, struct err *err);

/*
 * The initramfs of a network root: microcode, base and /snowboot/node.conf with the text of a
 * node's configuration. No image, plan or database; a node fetches those. Fails likewise.
 */
int initramfs_compose_node(struct pool *pool, const struct initramfs_params *params,
	const char *config, struct progress *progress, struct initramfs *ret, struct err *err);

#endif
