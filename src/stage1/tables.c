/* SPDX-License-Identifier: MIT */
/*
 * Two linear targets of the device mapper: the data where it was, the tables on a disk in memory.
 * Not a loop device on a tmpfs, though that needs no further module: brd answers within the
 * request, without another thread. The ioctls are those of Linux Documentation/admin-guide/
 * device-mapper and include/uapi/linux/dm-ioctl.h, version 4.
 */
#include "stage1/tables.h"

#include "base/bytes.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "image/squashfs/format.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define CONTROL "/dev/mapper/control"
#define DISK "/dev/ram0"
#define NAME "snowboot-image"
#define UUID "SNOWBOOT-image" /* who makes devices begins theirs with its own name */

#define PAGE 4096u
#define SECTOR 512u
#define BLOCK ((size_t)1 << 20) /* that is copied at once */
#define SHARE 8u                /* of the memory: tables may take a part of so many */

int tables_find(const uint8_t *superblock, uint64_t size, uint64_t *ret_off, struct err *err)
{
	uint64_t used = get_le64(superblock + SQFS_SUPERBLOCK_END);
	uint64_t inodes = get_le64(superblock + SQFS_SUPERBLOCK_INODES);
	if (get_le32(superblock) != SQFS_MAGIC || used > size || inodes >= used)
		return err_raise(err, ERR_CORRUPT, "the image has no squashfs superblock");
	*ret_off = inodes / PAGE * PAGE;
	return 0;
}

/* Where data and tables part, and how long the device is; bytes. */
struct parts {
	uint64_t cut, size;
};

static int look(int image, const char *device, struct parts *ret, struct err *err)
{
	alignas(PAGE) uint8_t first[PAGE];
	size_t len;
	if (fd_pread_full(image, first, sizeof(first), 0, device, &len, err) < 0)
		return -1;
	if (len != sizeof(first))
		return err_raise(err, ERR_CORRUPT, "'%s' is too short", device);
	if (ioctl(image, BLKGETSIZE64, &ret->size) < 0)
		return err_sys(err, "cannot tell the size of '%s'", device);
	if (ret->size % PAGE != 0) /* its end could not be written as it is read */
		return err_raise(err, ERR_UNSUPPORTED, "'%s' ends within a page", device);
	if (tables_find(first, ret->size, &ret->cut, err) < 0)
		return -1;
	struct sysinfo info;
	if (sysinfo(&info) < 0)
		return err_sys(err, "cannot tell how much memory there is");
	uint64_t len_max = (uint64_t)info.totalram * info.mem_unit / SHARE;
	if (ret->size - ret->cut > len_max)
		return err_raise(err, ERR_LIMIT,
			"the image's tables, %" PRIu64 " MiB, are > max %" PRIu64 " MiB",
			(ret->size - ret->cut) >> 20, len_max >> 20);
	return 0;
}

/* Past the page cache on both sides, which would keep it twice. */
static int copy(int image, int disk, const char *device, const struct parts *parts, struct err *err)
{
	AUTO_FREE uint8_t *block = aligned_alloc(PAGE, BLOCK);
	if (block == NULL)
		return err_oom(err);
	for (uint64_t off = parts->cut; off < parts->size; off += BLOCK) {
		size_t want = parts->size - off < BLOCK ? (size_t)(parts->size - off) : BLOCK, len;
		if (fd_pread_full(image, block, want, off, device, &len, err) < 0)
			return -1;
		if (len != want)
			return err_raise(err, ERR_CORRUPT, "'%s' ends too early", device);
		if (fd_write_full(disk, block, want, DISK, err) < 0)
			return -1;
	}
	return 0;
}

static int fill(const char *device, struct parts *ret_parts, struct err *err)
{
	AUTO_FD int image = -1, disk = -1;
	uint64_t room;
	if (fd_open(AT_FDCWD, device, O_RDONLY | O_DIRECT, &image, err) < 0 ||
		look(image, device, ret_parts, err) < 0 ||
		fd_open(AT_FDCWD, DISK, O_RDWR | O_DIRECT | O_EXCL, &disk, err) < 0)
		return -1;
	if (ioctl(disk, BLKGETSIZE64, &room) < 0)
		return err_sys(err, "cannot tell the size of '" DISK "'");
	if (room < ret_parts->size - ret_parts->cut)
		return err_raise(
			err, ERR_LIMIT, "'" DISK "' is too small: %" PRIu64 " KiB", room >> 10);
	return copy(image, disk, device, ret_parts, err);
}

/* An ioctl's header, and a table of two lines behind it. */
struct request {
	struct dm_ioctl head;
	alignas(8) struct {
		struct dm_target_spec spec;
		char params[64];
	} targets[2];
};

static int ask(unsigned long command, struct request *request, struct err *err)
{
	AUTO_FD int control = -1;
	if (fd_open(AT_FDCWD, CONTROL, O_RDWR, &control, err) < 0)
		return -1;
	struct dm_ioctl *head = &request->head;
	head->version[0] = DM_VERSION_MAJOR;
	head->data_size = sizeof(*request);
	head->data_start = offsetof(struct request, targets);
	snprintf(head->name, sizeof(head->name), NAME);
	if (ioctl(control, command, request) < 0)
		return err_sys(err, "the device mapper does not do it");
	return 0;
}

static void set_target(struct request *request, int i, uint64_t from, uint64_t to, const char *on)
{
	struct dm_target_spec *spec = &request->targets[i].spec;
	*spec = (struct dm_target_spec){.sector_start = from / SECTOR,
		.length = (to - from) / SECTOR,
		.next = sizeof(request->targets[i])};
	snprintf(spec->target_type, sizeof(spec->target_type), "linear");
	snprintf(request->targets[i].params, sizeof(request->targets[i].params), "%s 0", on);
}

static int start(const char *device, const struct parts *parts, char **ret_path, struct err *err)
{
	struct request table = {.head = {.flags = DM_READONLY_FLAG, .target_count = 2}};
	struct request resume = {0};
	set_target(&table, 0, 0, parts->cut, device);
	set_target(&table, 1, parts->cut, parts->size, DISK);
	if (ask(DM_TABLE_LOAD, &table, err) < 0 || ask(DM_DEV_SUSPEND, &resume, err) < 0)
		return -1;
	*ret_path = path_printf(err, "/dev/dm-%u", minor(resume.head.dev));
	return *ret_path != NULL ? 0 : -1;
}

int tables_hold(const char *device, struct modules *modules, char **ret_path, struct err *err)
{
	ERR_SCOPE(err, "cannot hold the tables of '%s' in memory", device);
	struct request create = {.head = {.flags = DM_READONLY_FLAG}};
	struct parts parts;
	snprintf(create.head.uuid, sizeof(create.head.uuid), UUID);
	/* Of an attempt before this one it may still be there, with what that one copied. */
	if (modules_load(modules, "dm_mod", err) < 0 || modules_load(modules, "brd", err) < 0 ||
		ask(DM_DEV_CREATE, &create, err) < 0)
		return -1;
	if (fill(device, &parts, err) == 0 && start(device, &parts, ret_path, err) == 0)
		return 0;
	tables_release();
	return -1;
}

void tables_release(void)
{
	struct err err = ERR_INIT;
	struct request remove = {.head = {.flags = DM_DEFERRED_REMOVE}};
	if (access(CONTROL, F_OK) == 0 && ask(DM_DEV_REMOVE, &remove, &err) < 0)
		log_debug("%s, going on", err.msg);
}
