/* SPDX-License-Identifier: MIT */
/*
 * The newc writer. It writes members in the order it is given them and knows nothing of what an
 * initramfs needs. Contents that come as an image stay extents, so that an archive around gigabytes
 * costs a header.
 */
#include "image/cpio/cpio.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define HEADER_SIZE 110 /* "070701" and 13 fields of 8 digits */
#define TRAILER "TRAILER!!!"
#define MTIME 1

void cpio_done(struct cpio *cpio)
{
	image_done(&cpio->image);
	buf_done(&cpio->pending);
	cpio->inode = 0;
}

static uint64_t archive_size(const struct cpio *cpio)
{
	return cpio->image.size + cpio->pending.len;
}

/* Headers and contents begin at multiples of 4 bytes, counted from the start of the archive. */
static int pad(struct cpio *cpio, struct err *err)
{
	uint64_t size = archive_size(cpio);
	return buf_put_zero(&cpio->pending, (size_t)(mem_align(size, 4) - size), err);
}

static int check_name(const char *name, struct err *err)
{
	/* init/initramfs.c do_header(): name_len, with its NUL, at most PATH_MAX. */
	size_t len = strlen(name);
	if (len + 1 > PATH_MAX)
		return err_raise(err, ERR_LIMIT,
			"the name '%.40s…' of an archive member is too long (%zu > max %d bytes)",
			name, len, PATH_MAX - 1);
	for (const char *part = name;;) {
		size_t n = strcspn(part, "/");
		if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && memcmp(part, "..", 2) == 0))
			return err_raise(err, ERR_BUG, "'%s' cannot name an archive member", name);
		if (part[n] == '\0')
			break;
		part += n + 1;
	}
	if (strcmp(name, TRAILER) == 0)
		return err_raise(err, ERR_BUG, "'%s' cannot name an archive member", name);
	return 0;
}

static int check_size(const struct cpio_entry *entry, uint64_t size, struct err *err)
{
	if (size > UINT32_MAX)
		return err_raise(err, ERR_LIMIT,
			"'%s' is too large for a cpio archive (%llu > max %llu bytes)", entry->name,
			(unsigned long long)size, (unsigned long long)UINT32_MAX);
	/* do_header(): a symlink whose body_len is above PATH_MAX is skipped. */
	if (S_ISLNK(entry->mode) && size > PATH_MAX)
		return err_raise(err, ERR_LIMIT,
			"the target of the symlink '%s' is too long (%llu > max %d bytes)",
			entry->name, (unsigned long long)size, PATH_MAX);
	return 0;
}

static int put_header(struct cpio *cpio, const struct cpio_entry *entry, uint32_t inode,
	uint32_t size, struct err *err)
{
	size_t name_size = strlen(entry->name) + 1;
	if (pad(cpio, err) < 0)
		return -1;
	/* ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize
	 * check */
	if (buf_printf(&cpio->pending, err,
		    "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08zX%08X", inode,
		    entry->mode, 0u, 0u, 1u, inode != 0 ? MTIME : 0u, size, 0u, 0u,
		    entry->device_major, entry->device_minor, name_size, 0u) < 0)
		return -1;
	if (buf_put(&cpio->pending, entry->name, name_size, err) < 0)
		return -1;
	return pad(cpio, err);
}

/* Turns what is pending into an extent. */
static int flush(struct cpio *cpio, struct err *err)
{
	return image_append_take(&cpio->image, &cpio->pending, err);
}

static int put_member(
	struct cpio *cpio, const struct cpio_entry *entry, struct image *contents, struct err *err)
{
	uint64_t size = contents != NULL ? contents->size : entry->size;
	if (check_name(entry->name, err) < 0 || check_size(entry, size, err) < 0)
		return -1;
	if (put_header(cpio, entry, ++cpio->inode, (uint32_t)size, err) < 0)
		return -1;
	if (contents == NULL)
		return buf_put(&cpio->pending, entry->data, (size_t)size, err);
	if (flush(cpio, err) < 0)
		return -1;
	return image_append_image(&cpio->image, contents, err);
}

int cpio_put(struct cpio *cpio, const struct cpio_entry *entry, struct err *err)
{
	int r = put_member(cpio, entry, entry->take_contents, err);
	if (entry->take_contents != NULL)
		image_done(entry->take_contents);
	return r;
}

int cpio_finish(struct cpio *cpio, struct image *out, struct err *err)
{
	const struct cpio_entry trailer = {.name = TRAILER};
	if (put_header(cpio, &trailer, 0, 0, err) < 0 || flush(cpio, err) < 0)
		return -1;
	cpio->inode = 0;
	return image_append_image(out, &cpio->image, err);
}
