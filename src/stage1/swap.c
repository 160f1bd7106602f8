/* SPDX-License-Identifier: MIT */
/* Swap for systems that live in memory: compressed memory, and areas on disks that others made. */
#include "stage1/swap.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "stage1/sysfile.h"
#include "stage1/timeline.h"
#include "stage1/uevent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/swap.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define ZRAM_PRIORITY 100 /* before any disk */

static int enable(const char *device, int flags, struct err *err)
{
	if (swapon(device, flags) < 0 && errno != EBUSY)
		return err_sys(err, "cannot swap to '%s'", device);
	log_info("swapping to '%s'", device);
	return 0;
}

/* The first device exists from loading on; the others are asked for (zram-control, Linux 4.2). */
static int find_zram(uint64_t *ret_number, struct err *err)
{
	uint64_t size;
	*ret_number = 0;
	if (sysfile_read_u64("/sys/block/zram0/disksize", &size) && size == 0)
		return 0;
	if (sysfile_read_u64("/sys/class/zram-control/hot_add", ret_number))
		return 0;
	return err_raise(err, ERR_IO, "the kernel gives no zram device");
}

static int enable_zram(const struct swap_item *item, struct modules *modules, struct err *err)
{
	ERR_SCOPE(err, "cannot set up zram");
	uint64_t number, size_bytes = item->size_bytes;
	if (modules_load(modules, "zram", err) < 0 || find_zram(&number, err) < 0)
		return -1;
	struct sysinfo memory;
	if (size_bytes == 0 && sysinfo(&memory) == 0)
		size_bytes = (uint64_t)memory.totalram * memory.mem_unit / 100 * item->percent;
	size_bytes &= ~(uint64_t)(SWAP_HEADER_SIZE - 1);
	if (size_bytes < 16 * SWAP_HEADER_SIZE)
		return err_raise(err, ERR_USAGE, "%" PRIu64 " bytes are too few", size_bytes);
	AUTO_FREE char *attribute = path_printf(err, "/sys/block/zram%" PRIu64 "/disksize", number);
	AUTO_FREE char *text = path_printf(err, "%" PRIu64, size_bytes);
	AUTO_FREE char *device = path_printf(err, "/dev/zram%" PRIu64, number);
	if (attribute == NULL || text == NULL || device == NULL ||
		sysfile_write(attribute, text, err) < 0)
		return -1;
	AUTO_FD int fd = -1;
	uint8_t page[SWAP_HEADER_SIZE];
	swap_header_write(size_bytes, page);
	if (fd_open(AT_FDCWD, device, O_WRONLY, &fd, err) < 0 ||
		fd_write_full(fd, page, sizeof(page), device, err) < 0)
		return -1;
	fd_close_ptr(&fd); /* swapon wants the device for itself */
	return enable(device, SWAP_FLAG_PREFER | ZRAM_PRIORITY, err);
}

/* Enables a block device if it is an area that an item asks for. */
static void try_device(struct swap_list *list, const char *name)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *device = path_printf(&err, "/dev/%s", name);
	AUTO_FD int fd = device != NULL ? open(device, O_RDONLY | O_CLOEXEC) : -1;
	uint8_t page[SWAP_HEADER_SIZE];
	struct swap_header header;
	if (fd < 0 || pread(fd, page, sizeof(page), 0) != (ssize_t)sizeof(page) ||
		!swap_header_read(page, &header))
		return;
	fd_close_ptr(&fd);
	VEC_FOREACH(item, &list->items) {
		if (item->done || !swap_item_matches(item, device, &header))
			continue;
		item->done = item->kind != SWAP_AUTO;
		if (enable(device, 0, &err) < 0)
			log_ignored(&err);
		return;
	}
}

static void try_present(struct swap_list *list)
{
	DIR *dir = opendir("/sys/class/block");
	if (dir == NULL)
		return;
	const struct dirent *entry;
	while ((entry = readdir(dir)) != NULL) {
		/* loop, ram and zram devices are ours or empty. */
		const char *name = entry->d_name;
		if (name[0] != '.' && strncmp(name, "loop", 4) != 0 &&
			strncmp(name, "ram", 3) != 0 && strncmp(name, "zram", 4) != 0)
			try_device(list, name);
	}
	closedir(dir);
}

static bool waits_for_named(const struct swap_list *list)
{
	for (size_t i = 0; i < list->items.len; i++)
		if (!list->items.items[i].done && list->items.items[i].name != NULL)
			return true;
	return false;
}

/* Block devices as they are announced. What was dropped is found by looking at all again. */
static void take_events(struct swap_list *list, int events)
{
	struct uevent event;
	for (;;) {
		struct err err = ERR_INIT;
		int r = uevent_next(events, &event, &err);
		if (r == 0)
			return;
		if (r < 0) {
			try_present(list);
			return;
		}
		const char *subsystem = uevent_get(&event, "SUBSYSTEM");
		const char *name = uevent_get(&event, "DEVNAME");
		if (subsystem != NULL && strcmp(subsystem, "block") == 0 && name != NULL)
			try_device(list, name);
	}
}

static void wait_for_named(struct swap_list *list, int events, int timeout_ms)
{
	uint64_t end_us = timeline_now_us() + (uint64_t)timeout_ms * 1000;
	while (waits_for_named(list)) {
		uint64_t now = timeline_now_us();
		if (now >= end_us)
			return;
		struct pollfd fd = {events, POLLIN, 0};
		if (poll(&fd, 1, (int)((end_us - now) / 1000) + 1) > 0)
			take_events(list, events);
	}
}

void swap_enable(struct swap_list *list, int timeout_ms, struct modules *modules)
{
	bool disks = false;
	VEC_FOREACH(item, &list->items) {
		struct err err = ERR_INIT;
		if (item->kind != SWAP_ZRAM)
			disks = true;
		else if (enable_zram(item, modules, &err) < 0)
			log_ignored(&err);
		item->done |= item->kind == SWAP_ZRAM;
	}
	if (!disks)
		return;
	struct err err = ERR_INIT;
	AUTO_FD int events = -1;
	if (uevent_open(&events, &err) < 0)
		log_ignored(&err);
	try_present(list);
	if (events >= 0)
		wait_for_named(list, events, timeout_ms);
	VEC_FOREACH(item, &list->items)
		if (!item->done && item->name != NULL)
			log_warning("no swap area '%s' appeared in %d ms, ignoring", item->name,
				timeout_ms);
}
