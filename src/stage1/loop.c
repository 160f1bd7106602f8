/* SPDX-License-Identifier: MIT */
/*
 * Loop devices. AUTOCLEAR makes the device end with its mount; while it lives it holds the file,
 * also when the file's name is gone. Buffered on purpose: direct I/O does not exist on tmpfs.
 */
#include "stage1/loop.h"

#include "base/fd.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <string.h>
#include <sys/ioctl.h>

void loop_done(struct loop *loop)
{
	fd_close_ptr(&loop->fd);
	free(loop->path);
	loop->path = NULL;
}

/* Somebody else may take the free device between the two calls. */
#define ATTACH_TRIES 16

int loop_attach(const char *file, struct modules *modules, struct loop *ret, struct err *err)
{
	ERR_SCOPE(err, "cannot make a block device of '%s'", file);
	if (modules_load(modules, "loop", err) < 0)
		return -1;
	AUTO_FD int control = -1, backing = -1;
	if (fd_open(AT_FDCWD, "/dev/loop-control", O_RDWR, &control, err) < 0 ||
		fd_open(AT_FDCWD, file, O_RDONLY, &backing, err) < 0)
		return -1;
	for (int try = 0; try < ATTACH_TRIES; try++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);
		if (number < 0)
			return err_sys(err, "no loop device is free");
		AUTO_LOOP loop = LOOP_INIT;
		loop.path = path_printf(err, "/dev/loop%d", number);
		if (loop.path == NULL || fd_open(AT_FDCWD, loop.path, O_RDONLY, &loop.fd, err) < 0)
			return -1;
		struct loop_config config = {.fd = (uint32_t)backing,
			.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR};
		if (ioctl(loop.fd, LOOP_CONFIGURE, &config) == 0) {
			*ret = loop;
			loop = (struct loop)LOOP_INIT;
			return 0;
		}
		if (errno != EBUSY)
			return err_sys(err, "cannot set up '%s'", loop.path);
	}
	return err_raise(err, ERR_AGAIN, "every free loop device was taken by somebody else");
}
