/* SPDX-License-Identifier: MIT */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

/*
 * An image: a list of extents. It can be written to a file, streamed, or read at any offset, and it
 * holds no data but its small generated parts. Files are opened when they are needed and closed
 * again, so an image of thousands of store paths needs no thousands of descriptors.
 */

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/progress.h"
#include "base/vec.h"

#include <stdint.h>

enum extent_kind { EXTENT_MEMORY, EXTENT_FILE, EXTENT_ZERO };

struct extent {
	enum extent_kind kind;
	uint64_t off;        /* where it lies in the image, bytes */
	uint64_t len;        /* bytes, never 0 */
	const uint8_t *data; /* EXTENT_MEMORY: owned by the image */
	const char *path;    /* EXTENT_FILE: owned by the image */
	uint64_t file_off;   /* EXTENT_FILE: offset in the file */
};

struct image {
	VEC(struct extent) extents; /* ascending, without gaps */
	VEC(void *) owned;          /* memory that extents point to */
	uint64_t size;              /* bytes */
};

#define AUTO_IMAGE AUTO(image_done) struct image

void image_done(struct image *image);

/* Each appends an extent; length 0 appends nothing. ERR_NOMEM. */
int image_append_take(struct image *image, struct buf *take_data, struct err *err); /* memory */
int image_append_copy(struct image *image, const void *data, size_t len, struct err *err);
int image_append_file(
	struct image *image, const char *path, uint64_t off, uint64_t len, struct err *err);
int image_append_zero(struct image *image, uint64_t len, struct err *err);
/* Zeros up to the next multiple of `align`, a power of two. */
int image_align(struct image *image, uint64_t align, struct err *err);
/* Moves all of `take`'s extents behind; `take` is empty afterwards, also on failure. */
int image_append_image(struct image *image, struct image *take, struct err *err);
/* Shows a part of another image, which outlives this one: nothing is copied. */
int image_append_view(
	struct image *image, const struct image *of, uint64_t off, uint64_t len, struct err *err);

/* The extent that holds `off`, or NULL at or beyond the end. */
const struct extent *image_extent_at(const struct image *image, uint64_t off);
/* Reads exactly `len` bytes at `off`: ERR_CORRUPT when a file is shorter than its extent, ERR_IO.
 */
int image_read(const struct image *image, uint64_t off, void *data, size_t len, struct err *err);
/*
 * Writes the whole image to fd at its file position: shares blocks with the sources where the file
 * system can, leaves holes for zeros in regular files, plain writes elsewhere (pipes). Progress is
 * in bytes.
 */
int image_write(const struct image *image, int fd, struct progress *progress, struct err *err);

#endif
