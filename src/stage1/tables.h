/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_TABLES_H
#define STAGE1_TABLES_H

/*
 * The tables of a squashfs image (inodes, directories, fragments, ids; all that lies behind its
 * data) in the kernel's memory, below the same file system. A boot reads each table block dozens of
 * times, since squashfs keeps only eight of them (Linux fs/squashfs/super.c,
 * SQUASHFS_CACHED_BLKS), two requests each; over NBD each request goes to the node and back.
 */

#include "base/err.h"
#include "stage1/modules.h"

#include <stdint.h>

/* For the kernel command line: one disk, whose size is only a limit, since pages come when they
 * are written. In KiB. */
#define TABLES_DISK_COUNT "brd.rd_nr=1"
#define TABLES_DISK_SIZE "brd.rd_size=4194304"

/*
 * Where the tables begin in an image of `size` bytes with this superblock (SQFS_SUPERBLOCK_SIZE
 * bytes): rounded down to pages. ERR_CORRUPT when it is none.
 */
int tables_find(const uint8_t *superblock, uint64_t size, uint64_t *ret_off, struct err *err);

/*
 * Makes a device (*ret_path, the caller owns it) that is `device` with its tables in memory, by
 * device mapper and brd; ERR_NOT_FOUND when the kernel lacks one of them, ERR_LIMIT when the tables
 * would take more than an eighth of the memory. What failed leaves nothing behind.
 */
int tables_hold(const char *device, struct modules *modules, char **ret_path, struct err *err);
/* The device goes away with its last user; at once when it has none. Nothing without one. */
void tables_release(void);

#endif
