/* SPDX-License-Identifier: MIT */
/*
 * Opening a cache's file or partition, and making one of what is none yet. Nothing is repaired: a
 * cache whose first block is damaged is begun anew.
 */
#include "cache/volume.h"

#include "base/fd.h"
#include "base/mem.h"
#include "cache/foreign.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define FILE_NAME "chunks"

_Static_assert(LAYOUT_RECORD_MAX >= LAYOUT_NOTE_SLOT && LAYOUT_RECORD_MAX >= FOREIGN_SIZE,
	"the buffer holds the largest of them");

/* Opens for reading and writing, past the page cache; gives up one wish after the other. */
static int open_file(
	int dirfd, const char *name, int create, struct volume *volume, struct err *err)
{
	static const struct {
		int flags;
		bool direct, read_only;
	} ways[] = {
		{O_RDWR | O_DIRECT, true, false},
		{O_RDWR, false, false}, /* tmpfs before Linux 6.6 has no O_DIRECT */
		{O_RDONLY | O_DIRECT, true, true},
		{O_RDONLY, false, true},
	};
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		int flags = ways[i].flags | O_CLOEXEC | (ways[i].read_only ? 0 : create);
		volume->fd = openat(dirfd, name, flags, 0600);
		if (volume->fd >= 0) {
			volume->direct = ways[i].direct;
			volume->read_only = ways[i].read_only;
			return 0;
		}
		if (errno != EINVAL && errno != EROFS && errno != EACCES && errno != EPERM)
			break;
	}
	return err_sys(err, "cannot open");
}

/* Opens `path` or its file, and finds how large the cache may be. */
static int open_path(const char *path, struct volume *volume, struct stat *ret_st,
	uint64_t *ret_size, struct err *err)
{
	AUTO_FD int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 && errno != ENOTDIR)
		return err_sys(err, "cannot open");
	if (open_file(dir >= 0 ? dir : AT_FDCWD, dir >= 0 ? FILE_NAME : path,
		    dir >= 0 ? O_CREAT : 0, volume, err) < 0)
		return -1;
	struct statvfs fs;
	if (fstat(volume->fd, ret_st) < 0)
		return err_sys(err, "cannot stat");
	if (S_ISBLK(ret_st->st_mode)) {
		if (ioctl(volume->fd, BLKGETSIZE64, ret_size) < 0)
			return err_sys(err, "cannot find its size");
	} else if (!S_ISREG(ret_st->st_mode)) {
		return err_raise(err, ERR_USAGE, "neither a partition, a directory nor a file");
	} else if (dir < 0 || volume->read_only) {
		*ret_size = (uint64_t)ret_st->st_size;
	} else {
		if (fstatvfs(volume->fd, &fs) < 0)
			return err_sys(err, "cannot find its file system's size");
		*ret_size = (uint64_t)fs.f_blocks * fs.f_frsize / 10;
	}
	return 0;
}

static int lock(const struct volume *volume, struct err *err)
{
	if (flock(volume->fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return err_sys(err, "cannot lock");
	return err_raise(err, ERR_AGAIN, "another process uses it");
}

/* Refuses a partition that holds something else. */
static int check_unused(struct volume *volume, struct err *err)
{
	size_t len;
	if (fd_pread_full(volume->fd, volume->buffer, FOREIGN_SIZE, 0, "it", &len, err) < 0)
		return -1;
	const char *what = cache_foreign(volume->buffer, len);
	if (what == NULL)
		return 0;
	err_raise(err, ERR_USAGE, "there is %s on it", what);
	return err_hint(err, "if it is not needed, clear it with 'wipefs --all'");
}

/* Makes a cache of what is none. Notes of an earlier one have another identifier. */
static int format(struct volume *volume, uint64_t size, struct err *err)
{
	struct layout_super super = {.zone_bytes = layout_zone_bytes(size)};
	if (volume->read_only)
		return err_errno(err, EROFS, "not a cache yet");
	if (getrandom(&super.id, sizeof(super.id), 0) != sizeof(super.id))
		return err_sys(err, "cannot get random bytes");
	layout_super_put(volume->buffer, &super);
	if (pwrite(volume->fd, volume->buffer, LAYOUT_BLOCK, 0) != (ssize_t)LAYOUT_BLOCK ||
		fdatasync(volume->fd) < 0)
		return err_sys(err, "cannot write");
	volume->id = super.id;
	volume->zone_bytes = super.zone_bytes;
	return 0;
}

/* Reads the first block, or writes one. */
static int load(struct volume *volume, bool is_device, uint64_t size, struct err *err)
{
	size_t len;
	struct layout_super super;
	memset(volume->buffer, 0, LAYOUT_BLOCK);
	if (fd_pread_full(volume->fd, volume->buffer, LAYOUT_BLOCK, 0, "it", &len, err) < 0)
		return -1;
	if (layout_super_get(volume->buffer, &super)) {
		volume->id = super.id;
		volume->zone_bytes = super.zone_bytes;
		return 0;
	}
	if (is_device && !layout_is_cache(volume->buffer) && check_unused(volume, err) < 0)
		return -1;
	return format(volume, size, err);
}

/* How many zones fit into `size` bytes; blocks are counted in 32 bits. */
static uint32_t zones_in(const struct volume *volume, uint64_t size)
{
	uint64_t zones = (size - LAYOUT_ZONES_OFF) / volume->zone_bytes;
	uint64_t most = UINT32_MAX / (volume->zone_bytes / LAYOUT_BLOCK);
	return (uint32_t)(zones < most ? zones : most);
}

static int open_volume(const char *path, uint64_t max, struct volume *volume, struct err *err)
{
	const uint32_t least = LAYOUT_ZONES_OFF + LAYOUT_ZONES_MIN * LAYOUT_ZONE_MIN;
	struct stat st;
	uint64_t size;
	if ((volume->buffer = aligned_alloc(LAYOUT_BLOCK, LAYOUT_RECORD_MAX)) == NULL)
		return err_oom(err);
	if (open_path(path, volume, &st, &size, err) < 0 || lock(volume, err) < 0)
		return -1;
	bool is_file = S_ISREG(st.st_mode);
	if (max != 0 && (max < size || (is_file && !volume->read_only)))
		size = max;
	if (size < least)
		return err_raise(err, ERR_LIMIT, "%llu bytes are too few, less than %u",
			(unsigned long long)size, least);
	if (load(volume, !is_file, size, err) < 0)
		return -1;
	/* A quota that has shrunk to a few zones wants smaller ones. */
	if (zones_in(volume, size) < LAYOUT_ZONES_MIN && format(volume, size, err) < 0)
		return -1;
	volume->zone_count = zones_in(volume, size);
	uint64_t end = LAYOUT_ZONES_OFF + (uint64_t)volume->zone_count * volume->zone_bytes;
	if (is_file && !volume->read_only && (uint64_t)st.st_size != end &&
		ftruncate(volume->fd, (off_t)end) < 0)
		return err_sys(err, "cannot give it its size");
	return 0;
}

int volume_open(const char *path, uint64_t max, struct volume *ret, struct err *err)
{
	ERR_SCOPE(err, "cache '%s'", path);
	struct volume volume = {.fd = -1};
	if (open_volume(path, max, &volume, err) < 0) {
		volume_done(&volume);
		return -1;
	}
	*ret = volume;
	return 0;
}
