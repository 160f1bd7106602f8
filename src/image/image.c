/* SPDX-License-Identifier: MIT */
/*
 * The extent list. It knows where bytes lie and how to bring them out again, and nothing of what
 * they mean: file systems and archives are laid out by the composers below this folder.
 */
#include "image/image.h"

#include "base/fd.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Largest piece that is written between two reports of progress, bytes. */
#define WRITE_STEP (64ull << 20)

static const uint8_t zeros[64 * 1024];

void image_done(struct image *image)
{
	for (size_t i = 0; i < image->owned.len; i++)
		free(image->owned.items[i]);
	vec_done(&image->owned);
	vec_done(&image->extents);
	image->size = 0;
}

static int append(struct image *image, struct extent extent, struct err *err)
{
	uint64_t size;
	if (!mem_add(image->size, extent.len, &size) || size > INT64_MAX)
		return err_raise(err, ERR_LIMIT, "an image of %llu bytes cannot grow by %llu",
			(unsigned long long)image->size, (unsigned long long)extent.len);
	extent.off = image->size;
	if (vec_push(&image->extents, extent, err) < 0)
		return -1;
	image->size = size;
	return 0;
}

/* Makes the image the owner of `take`, also on failure. */
static int own(struct image *image, void *take, struct err *err)
{
	if (take == NULL)
		return err_oom(err);
	if (vec_push(&image->owned, take, err) == 0)
		return 0;
	free(take);
	return -1;
}

int image_append_take(struct image *image, struct buf *take_data, struct err *err)
{
	size_t len = take_data->len;
	uint8_t *data = TAKE_PTR(take_data->data);
	take_data->len = take_data->cap = 0;
	if (len == 0) {
		free(data);
		return 0;
	}
	if (own(image, data, err) < 0)
		return -1;
	return append(image, (struct extent){EXTENT_MEMORY, .len = len, .data = data}, err);
}

int image_append_copy(struct image *image, const void *data, size_t len, struct err *err)
{
	AUTO_BUF copy = {.max = SIZE_MAX};
	if (buf_put(&copy, data, len, err) < 0)
		return -1;
	return image_append_take(image, &copy, err);
}

int image_append_file(
	struct image *image, const char *path, uint64_t off, uint64_t len, struct err *err)
{
	if (len == 0)
		return 0;
	char *copy = strdup(path);
	if (own(image, copy, err) < 0)
		return -1;
	return append(image,
		(struct extent){EXTENT_FILE, .len = len, .path = copy, .file_off = off}, err);
}

int image_append_zero(struct image *image, uint64_t len, struct err *err)
{
	if (len == 0)
		return 0;
	return append(image, (struct extent){EXTENT_ZERO, .len = len}, err);
}

int image_align(struct image *image, uint64_t align, struct err *err)
{
	return image_append_zero(image, mem_align(image->size, align) - image->size, err);
}

int image_append_image(struct image *image, struct image *take, struct err *err)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < take->extents.len; i++)
		r = append(image, take->extents.items[i], err);
	for (size_t i = 0; i < take->owned.len; i++) {
		/* After a failure extents may point to what is freed here: the image is only good
		 * for image_done() then. */
		if (r == 0)
			r = own(image, take->owned.items[i], err);
		else
			free(take->owned.items[i]);
	}
	take->owned.len = 0;
	image_done(take);
	return r;
}

int image_append_view(
	struct image *image, const struct image *of, uint64_t off, uint64_t len, struct err *err)
{
	if (off > of->size || len > of->size - off)
		return err_raise(err, ERR_BUG, "%llu bytes at %llu are outside an image of %llu",
			(unsigned long long)len, (unsigned long long)off,
			(unsigned long long)of->size);
	while (len > 0) {
		struct extent part = *image_extent_at(of, off);
		uint64_t skip = off - part.off;
		part.len = part.len - skip < len ? part.len - skip : len;
		part.file_off += skip;
		if (part.kind == EXTENT_MEMORY)
			part.data += skip;
		if (append(image, part, err) < 0)
			return -1;
		off += part.len;
		len -= part.len;
	}
	return 0;
}

const struct extent *image_extent_at(const struct image *image, uint64_t off)
{
	if (off >= image->size)
		return NULL;
	size_t low = 0, high = image->extents.len;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (image->extents.items[middle].off <= off)
			low = middle;
		else
			high = middle;
	}
	return &image->extents.items[low];
}

static int read_file(
	const struct extent *extent, uint64_t skip, uint8_t *data, size_t len, struct err *err)
{
	AUTO_FD int fd = -1;
	size_t got;
	if (fd_open(AT_FDCWD, extent->path, O_RDONLY, &fd, err) < 0)
		return -1;
	if (fd_pread_full(fd, data, len, extent->file_off + skip, extent->path, &got, err) < 0)
		return -1;
	if (got == len)
		return 0;
	uint64_t end = extent->file_off + skip + got;
	return err_raise(err, ERR_CORRUPT, "'%s' ends at %llu bytes, %llu are missing",
		extent->path, (unsigned long long)end,
		(unsigned long long)(extent->file_off + extent->len - end));
}

int image_read(const struct image *image, uint64_t off, void *data, size_t len, struct err *err)
{
	if (off > image->size || len > image->size - off)
		return err_raise(err, ERR_BUG, "%zu bytes at %llu are outside an image of %llu",
			len, (unsigned long long)off, (unsigned long long)image->size);
	uint8_t *out = data;
	while (len > 0) {
		const struct extent *extent = image_extent_at(image, off);
		uint64_t skip = off - extent->off, left = extent->len - skip;
		size_t piece = left < len ? (size_t)left : len;
		switch (extent->kind) {
		case EXTENT_MEMORY:
			memcpy(out, extent->data + skip, piece);
			break;
		case EXTENT_ZERO:
			memset(out, 0, piece);
			break;
		case EXTENT_FILE:
			if (read_file(extent, skip, out, piece, err) < 0)
				return -1;
			break;
		}
		out += piece;
		off += piece;
		len -= piece;
	}
	return 0;
}

/* Where image_write() puts it, and how far it is. */
struct output {
	int fd;
	uint64_t done; /* bytes */
	struct progress *progress;
};

static void advance(struct output *output, uint64_t len, const char *subject)
{
	output->done += len;
	progress_update(output->progress, output->done, subject);
}

/*
 * Leaves a hole of `len` bytes: 1, or 0 where fd cannot have one, because it is no regular file or
 * because older bytes may stand there. The file ends behind the hole, so that a following clone of
 * a whole source file also ends at the end of this one, as remap_file_range demands of a length
 * that is no multiple of the block size (Linux 6.12, fs/remap_range.c).
 */
static int punch(int fd, uint64_t len, struct err *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "cannot stat the output");
	int flags = fcntl(fd, F_GETFL);
	if (!S_ISREG(st.st_mode) || flags < 0 || (flags & O_APPEND) != 0)
		return 0;
	off_t at = lseek(fd, 0, SEEK_CUR);
	if (at < 0 || at < st.st_size)
		return 0;
	off_t end = at + (off_t)len;
	if (ftruncate(fd, end) < 0 || lseek(fd, end, SEEK_SET) < 0)
		return err_sys(err, "cannot extend the output");
	return 1;
}

static int write_zeros(struct output *output, uint64_t len, struct err *err)
{
	int holed = punch(output->fd, len, err);
	if (holed < 0)
		return -1;
	if (holed == 1) {
		advance(output, len, NULL);
		return 0;
	}
	while (len > 0) {
		size_t piece = len < sizeof(zeros) ? (size_t)len : sizeof(zeros);
		if (fd_write_full(output->fd, zeros, piece, "output", err) < 0)
			return -1;
		advance(output, piece, NULL);
		len -= piece;
	}
	return 0;
}

static int write_memory(struct output *output, const struct extent *extent, struct err *err)
{
	if (fd_write_full(output->fd, extent->data, extent->len, "output", err) < 0)
		return -1;
	advance(output, extent->len, NULL);
	return 0;
}

static int write_file(struct output *output, const struct extent *extent, struct err *err)
{
	AUTO_FD int fd = -1;
	if (fd_open(AT_FDCWD, extent->path, O_RDONLY, &fd, err) < 0)
		return -1;
	for (uint64_t done = 0; done < extent->len;) {
		uint64_t left = extent->len - done, piece = left < WRITE_STEP ? left : WRITE_STEP;
		if (fd_copy(fd, extent->file_off + done, piece, output->fd, extent->path, err) < 0)
			return -1;
		done += piece;
		advance(output, piece, extent->path);
	}
	return 0;
}

static int write_extent(struct output *output, const struct extent *extent, struct err *err)
{
	switch (extent->kind) {
	case EXTENT_MEMORY:
		return write_memory(output, extent, err);
	case EXTENT_FILE:
		return write_file(output, extent, err);
	case EXTENT_ZERO:
		return write_zeros(output, extent->len, err);
	}
	return err_raise(err, ERR_BUG, "an extent of kind %d", extent->kind);
}

int image_write(const struct image *image, int fd, struct progress *progress, struct err *err)
{
	struct output output = {.fd = fd, .progress = progress};
	progress_begin(progress, "write", image->size, "bytes");
	int r = 0;
	for (size_t i = 0; r == 0 && i < image->extents.len; i++)
		r = write_extent(&output, &image->extents.items[i], err);
	progress_end(progress);
	return r;
}
