/* SPDX-License-Identifier: MIT */
#ifndef SERVE_USER_H
#define SERVE_USER_H

/*
 * As whom the server runs. Ports, DHCP and iPXE's questions need privileges while it starts, and
 * nothing does afterwards: what is reached over the network runs without any.
 */

#include "base/err.h"

#include <sys/types.h>

struct user {
	const char *name; /* borrowed */
	uid_t uid;
	gid_t gid;
};

/* By name or number. ERR_NOT_FOUND. */
int user_find(const char *name, struct user *ret, struct err *err);

/* Makes the folder for the user unless it is there, and then leaves it as it is. ERR_IO. */
int user_make_dir(const struct user *user, const char *dir, struct err *err);

/*
 * Root becomes the user and keeps what starting needs: CAP_NET_ADMIN, CAP_NET_RAW and
 * CAP_NET_BIND_SERVICE. ERR_USAGE when we are somebody else who is not that user either.
 */
int user_become(const struct user *user, struct err *err);

/* Gives up every capability, for good and for all children, unless we are root. ERR_IO. */
int user_drop_privileges(struct err *err);

#endif
