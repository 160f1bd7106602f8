/* SPDX-License-Identifier: MIT */
/*
 * The cache's partition, by what the kernel read of the partition table: the `uevent` file of a
 * partition has PARTNAME (Linux block/partitions/core.c), so no table is parsed here. A disk that
 * holds a cache is a help; that there might be one is no reason to wait for long.
 */
#include "stage1/cache_disk.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "stage1/sysfile.h"

#include <fcntl.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <time.h>

#define MIB ((uint64_t)1 << 20)
#define SETTLE_MS 5000 /* drivers of the first walk */
#define PROBE_MS 1000  /* a controller that was found looks for its disks */
#define NAMED_MS 15000 /* a disk that somebody named */
#define POLL_MS 20

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The value of KEY= in lines of text, compared with `want`. */
static bool has_line(const char *text, const char *key, const char *want)
{
	size_t key_len = strlen(key), want_len = strlen(want);
	for (const char *p = text; p != NULL && *p != '\0';) {
		if (strncmp(p, key, key_len) == 0 && strncmp(p + key_len, want, want_len) == 0 &&
			(p[key_len + want_len] == '\n' || p[key_len + want_len] == '\0'))
			return true;
		p = strchr(p, '\n');
		p = p != NULL ? p + 1 : NULL;
	}
	return false;
}

char *cache_disk_by_label(const char *sys, const char *label, struct err *err)
{
	AUTO_FREE char *folder = path_printf(err, "%s/class/block", sys);
	AUTO_DIR *dir = folder != NULL ? fd_opendir(AT_FDCWD, folder) : NULL;
	const struct dirent *entry;
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		AUTO_FREE char *path = path_printf(err, "%s/%s/uevent", folder, entry->d_name);
		AUTO_FREE char *text = path != NULL ? sysfile_read(path) : NULL;
		if (text != NULL && has_line(text, "PARTNAME=", label))
			return path_printf(err, "/dev/%s", entry->d_name);
	}
	return NULL;
}

uint64_t cache_memory_quota(uint64_t ram_bytes, bool has_disk)
{
	if (!has_disk)
		return ram_bytes / 4;
	uint64_t some = ram_bytes / 16;
	return some < 32 * MIB ? 32 * MIB : some > 256 * MIB ? 256 * MIB : some;
}

/* Is there anything that might yet turn out to have partitions? */
static bool has_disks(void)
{
	AUTO_DIR *dir = fd_opendir(AT_FDCWD, "/sys/class/block");
	const struct dirent *entry;
	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.' && strncmp(entry->d_name, "loop", 4) != 0 &&
			strncmp(entry->d_name, "ram", 3) != 0 &&
			strncmp(entry->d_name, "nbd", 3) != 0 &&
			strncmp(entry->d_name, "zram", 4) != 0 &&
			strncmp(entry->d_name, "sr", 2) != 0)
			return true;
	/* SATA and USB look for theirs after the driver is there. */
	return sysfile_exists("/sys/class/scsi_host/host0") ||
		sysfile_exists("/sys/class/nvme/nvme0");
}

static char *wait_for_label(const char *label, int timeout_ms, bool named, struct err *err)
{
	int64_t end = now_ms() + timeout_ms;
	for (;;) {
		char *found = cache_disk_by_label("/sys", label, err);
		if (found != NULL || !err_clean(err) || now_ms() >= end || (!named && !has_disks()))
			return found;
		nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000}, NULL);
	}
}

/* A cache is often found long before the last driver is there. */
static char *look_for_cache(const struct hardware *hardware, struct err *err)
{
	int64_t end = now_ms() + SETTLE_MS;
	while (!hardware_is_settled(hardware, POLL_MS)) {
		char *found = cache_disk_by_label("/sys", CACHE_DISK_LABEL, err);
		if (found != NULL || !err_clean(err))
			return found;
		if (now_ms() >= end) {
			log_warning("drivers still load after %d ms, going on", SETTLE_MS);
			break;
		}
	}
	return wait_for_label(CACHE_DISK_LABEL, PROBE_MS, false, err);
}

static char *wait_for_device(const char *path, struct err *err)
{
	int64_t end = now_ms() + NAMED_MS;
	while (!sysfile_exists(path)) {
		if (now_ms() >= end)
			return NULL;
		nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000}, NULL);
	}
	return path_printf(err, "%s", path);
}

int cache_disk_find(const struct cmdline *cmdline, const struct hardware *hardware,
	struct cache_params *ret, struct err *err)
{
	static const char by_label[] = "PARTLABEL=";
	const char *value = cmdline_get(cmdline, "snowboot.cache");
	AUTO_FREE char *disk = NULL;
	bool automatic = value == NULL || strcmp(value, "auto") == 0;
	bool none = !automatic && strcmp(value, "none") == 0;
	if (automatic) {
		disk = look_for_cache(hardware, err);
	} else if (strncmp(value, by_label, strlen(by_label)) == 0) {
		disk = wait_for_label(value + strlen(by_label), NAMED_MS, true, err);
	} else if (strncmp(value, "/dev/", 5) == 0) {
		disk = wait_for_device(value, err);
	} else if (!none && strcmp(value, "ram") != 0) {
		return err_raise(err, ERR_USAGE,
			"snowboot.cache takes auto, ram, none, /dev/… or PARTLABEL=…, not '%s'",
			value);
	}
	if (!err_clean(err))
		return -1;
	if (disk == NULL && !automatic && !none && strcmp(value, "ram") != 0)
		log_warning("the cache '%s' did not appear in %d s, going on without it", value,
			NAMED_MS / 1000);
	struct sysinfo info;
	if (sysinfo(&info) < 0)
		return err_sys(err, "cannot tell how much memory there is");
	uint64_t ram = (uint64_t)info.totalram * info.mem_unit;
	/* Reads in flight and what is being verified need some in any case. */
	ret->memory_max = none ? 16 * MIB : cache_memory_quota(ram, disk != NULL);
	ret->disk = TAKE_PTR(disk);
	return 0;
}
