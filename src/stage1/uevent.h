/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_UEVENT_H
#define STAGE1_UEVENT_H

/* What the kernel announces about devices: as it happens, and for those that are there already. */

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* Room for one message: the kernel's UEVENT_BUFFER_SIZE is 2048 (linux/kobject.h), plus its head.
 */
#define UEVENT_MAX 8192

/* A device's announcement: lines "KEY=value", each ended by NUL. */
struct uevent {
	char data[UEVENT_MAX + 1];
	size_t len;
};

/* Opens the kernel's socket (netlink, NETLINK_KOBJECT_UEVENT, group 1), non-blocking. */
int uevent_open(int *ret_fd, struct err *err);
/*
 * Takes the next message: 1, or 0 when none waits. ERR_LIMIT when the kernel had to drop messages:
 * walk the devices again. Messages that are not the kernel's are skipped.
 */
int uevent_next(int fd, struct uevent *ret, struct err *err);
/* The value of a key; NULL when the message has none. Lives as long as the message. */
const char *uevent_get(const struct uevent *event, const char *key);

/*
 * Calls `visit` for each device below `folder` (/sys/devices) with what its `uevent` file says; it
 * stops when visit returns other than 0, and returns that.
 */
int uevent_walk(
	const char *folder, int (*visit)(const struct uevent *event, void *data), void *data);

#endif
