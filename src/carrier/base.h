/* SPDX-License-Identifier: MIT */
#ifndef CARRIER_BASE_H
#define CARRIER_BASE_H

/*
 * The base of an initramfs: stage 1, busybox, kernel modules and their firmware, as one zstd
 * compressed cpio archive that all systems with the same modules share.
 */

#include "base/buf.h"
#include "base/progress.h"
#include "pool/pool.h"
#include "system/link.h"

enum base_flags {
	BASE_WHOLE_MODULES =
		1 << 0, /* keep modules bit for bit, for kernels that check signatures */
};

struct base_params {
	int root;                          /* in_root.h */
	const char *platform;              /* that the programs are for: "x86_64-linux" */
	const char *kernel_modules;        /* store path with lib/modules */
	const char *release;               /* directory below it */
	const char *firmware;              /* store path of the firmware directory, or NULL */
	const struct store_supply *supply; /* brings both; NULL: they are there */
	const char *modules;               /* sets and names, as modules_choose() takes them */
	enum base_flags flags;
};

struct base_stats {
	size_t modules, firmware, firmware_missing; /* counts */
	uint64_t plain_size;                        /* bytes before compression */
};

/* Makes the archive, appended to `out`. Progress is in bytes before compression. */
int base_build(const struct base_params *params, struct progress *progress, struct buf *out,
	struct base_stats *ret_stats, struct err *err);

/*
 * The archive as an object of the pool, made when the pool does not remember one for the same
 * programs, modules, firmware and form. Pinned.
 */
int base_get(struct pool *pool, const struct base_params *params, struct progress *progress,
	struct digest *ret, struct err *err);

#endif
