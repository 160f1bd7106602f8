/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_CACHE_DISK_H
#define STAGE1_CACHE_DISK_H

/* Where chunks are kept: `snowboot.cache=` of the kernel command line, and the disk it means. */

#include "base/err.h"
#include "cache/cache.h"
#include "stage1/cmdline.h"
#include "stage1/hardware.h"

#define CACHE_DISK_LABEL "snowboot-cache" /* of a GPT partition; how `auto` finds it */

/*
 * Fills in memory_max and disk (which the caller owns, or NULL). Waits for drivers of the first
 * walk, and for a disk only if it is named, within bounds: a cache that does not appear is a
 * warning. ERR_USAGE for a value that makes no sense.
 */
int cache_disk_find(const struct cmdline *cmdline, const struct hardware *hardware,
	struct cache_params *ret, struct err *err);

/* The device ("/dev/sda3") of the partition with that label among those below `sys`/class/block;
 * NULL when there is none, or ERR_NOMEM. The caller owns it. */
char *cache_disk_by_label(const char *sys, const char *label, struct err *err);

/* Bytes for chunks in memory on a machine with so much of it, with a disk below or without. */
uint64_t cache_memory_quota(uint64_t ram_bytes, bool has_disk);

#endif
