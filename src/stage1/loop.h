/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_LOOP_H
#define STAGE1_LOOP_H

/* A file as a read-only block device (Linux 5.8 on: LOOP_CONFIGURE). */

#include "base/err.h"
#include "stage1/modules.h"

struct loop {
	int fd;     /* keep open until the device is mounted: it goes away with its last user */
	char *path; /* "/dev/loop0" */
};

#define LOOP_INIT \
	{ \
		.fd = -1 \
	}
#define AUTO_LOOP AUTO(loop_done) struct loop

/* Sets up a free loop device on the file. Loads the module. */
int loop_attach(const char *file, struct modules *modules, struct loop *ret, struct err *err);
void loop_done(struct loop *loop);

#endif
