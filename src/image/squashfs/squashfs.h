/* SPDX-License-Identifier: MIT */
#ifndef IMAGE_SQUASHFS_SQUASHFS_H
#define IMAGE_SQUASHFS_SQUASHFS_H

/*
 * The squashfs composer: turns trees into a squashfs 4.0 image whose data blocks are the segments,
 * referenced and not copied. The same members give the same bytes, in whatever order they are
 * given.
 */

#include "image/image.h"
#include "tree/tree.h"

/* One store path of the image. */
struct squashfs_member {
	const char *name; /* its name in the image's root directory: "<hash>-<name>" */
	const struct tree *tree;
	const char *segment_path; /* the file that holds the segment's bytes, from offset 0 */
};

/* Where one part of a composed image lies, so that a reader can verify it and name what is damaged.
 */
struct squashfs_part {
	uint64_t off, len; /* bytes */
	struct digest digest;
	const char *name; /* of the member; NULL: the metadata; borrowed from the member */
};

struct squashfs_layout {
	VEC(struct squashfs_part) parts; /* superblock, each distinct segment, tables; ascending */
};

void squashfs_layout_done(struct squashfs_layout *layout);

/*
 * Composes. Everything is root:root, mtime 1, modes 0444/0555. ret_layout may be NULL. ERR_CORRUPT
 * when a tree is not consistent, ERR_LIMIT beyond what squashfs can hold, ERR_USAGE when two
 * members have one name.
 */
int squashfs_compose(const struct squashfs_member *members, size_t count, struct image *ret,
	struct squashfs_layout *ret_layout, struct err *err);

#endif
