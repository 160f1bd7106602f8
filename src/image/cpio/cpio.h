/* SPDX-License-Identifier: MIT */
#ifndef IMAGE_CPIO_CPIO_H
#define IMAGE_CPIO_CPIO_H

/*
 * Writes a cpio archive in the "newc" form that the kernel unpacks as an initramfs
 * (Documentation/driver-api/early-userspace/buffer-format.rst, init/initramfs.c, Linux 6.12).
 * Deterministic: inode numbers count up from 1, everything is root:root with mtime 1 and link
 * count 1.
 */

#include "image/image.h"

#include <sys/types.h>

/* What one member is. Parents come before what they hold: the kernel makes no directories. */
struct cpio_entry {
	const char *name; /* without a leading '/': "lib/modules" */
	mode_t mode;      /* type and permissions: S_IFREG | 0444, S_IFDIR | 0755, … */
	const void *data; /* contents of a file or target of a symlink; copied */
	uint64_t size;    /* bytes at data */
	struct image
		*take_contents; /* a file's contents instead of data; emptied, also on failure */
	uint32_t device_major, device_minor; /* of a device node */
};

struct cpio {
	struct image image; /* what is finished */
	struct buf pending; /* bytes that will be its next extent */
	uint32_t inode;     /* the last one given */
};

#define AUTO_CPIO AUTO(cpio_done) struct cpio

/* A zeroed struct cpio is an empty archive. */
void cpio_done(struct cpio *cpio);

/*
 * Appends one member. ERR_LIMIT, with name and size, for contents of 4 GiB or more, which the
 * format cannot say, and for names and symlink targets that the kernel would skip; ERR_BUG for a
 * name that is absolute or has empty, "." or ".." parts.
 */
int cpio_put(struct cpio *cpio, const struct cpio_entry *entry, struct err *err);

/* Ends the archive with its trailer and appends it to `out`; `cpio` is empty afterwards. */
int cpio_finish(struct cpio *cpio, struct image *out, struct err *err);

#endif
