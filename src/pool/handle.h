/* SPDX-License-Identifier: MIT */
#ifndef POOL_HANDLE_H
#define POOL_HANDLE_H

/* What is behind `struct pool`, for the files of this folder. */

#include "pool/index.h"
#include "pool/pool.h"
#include "pool/session.h"

struct pool {
	char *dir;
	int fd; /* the directory */
	bool read_only;
	struct index *index;
	struct session session;
};

#endif
