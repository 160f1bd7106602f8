/* SPDX-License-Identifier: MIT */
#ifndef NODE_BOOTEND_H
#define NODE_BOOTEND_H

/*
 * Hears how far the system is that boots off this node. That stage 2 begins stage 1 tells, right
 * before it hands over (stage1/bootend.h). When the system is up, systemd as PID 1 tells whoever is
 * named by NOTIFY_SOCKET in its own environment (sd_notify(3)): READY=1 when its start is finished,
 * and from version 254 on X_SYSTEMD_UNIT_ACTIVE= for each target that is reached (systemd(1),
 * "$NOTIFY_SOCKET"). Stage 1 gives it that variable when the socket is there.
 */

#include "base/err.h"

#define BOOTEND_SOCKET "notify"                        /* file in the state directory */
#define BOOTEND_HANDED_OVER "X_SNOWBOOT_HANDED_OVER=1" /* stage 1's line */

enum bootend_news { BOOTEND_STAGE2, BOOTEND_UP };

typedef void bootend_fn(enum bootend_news news, void *data);

struct event_base;
struct node_bootend;

/* Makes the unix socket `path` (mode 0600), replacing one that is there. ERR_IO, ERR_LIMIT for a
 * path that is too long. */
int node_bootend_listen(const char *path, int *ret_fd, struct err *err);
/* Listens on it; `heard` is called from the loop, at most once for each of them, and not for the
 * first after the second. ERR_NOMEM. */
int node_bootend_new(struct event_base *base, int take_fd, bootend_fn *heard, void *data,
	struct node_bootend **ret, struct err *err);
struct node_bootend *node_bootend_free(struct node_bootend *bootend); /* NULL is fine */

#endif
