/* SPDX-License-Identifier: MIT */
#ifndef NBD_DEVICE_H
#define NBD_DEVICE_H

/*
 * The kernel's NBD device, configured by generic netlink (Linux include/uapi/linux/nbd-netlink.h;
 * drivers/block/nbd.c, 5.15 and later). Timeout 0: the kernel waits for as long as it takes. When a
 * socket dies, I/O parks until nbd_device_reconnect() brings another.
 */

#include "base/err.h"

#include <stdint.h>

struct nbd_device {
	int netlink; /* kept open: some kernels disconnect when the owner's socket closes */
	uint32_t index;
	uint16_t family;
};

#define NBD_DEVICE_INIT \
	(struct nbd_device) \
	{ \
		.netlink = -1 \
	}

struct nbd_device_params {
	uint32_t index;         /* of /dev/nbdN */
	uint64_t size;          /* bytes, a multiple of block_size */
	uint32_t block_size;    /* bytes */
	const char *identifier; /* BACKEND_IDENTIFIER: a reconnect must bring the same */
};

/*
 * Connects `fd` (one end of a stream socket pair, whose other end a server already serves; stays
 * the caller's) and waits until the device has its size; io_timeout and the queue's limits are set.
 * At most timeout_ms. ERR_UNSUPPORTED without the nbd module, ERR_AGAIN when the device is in use.
 */
int nbd_device_connect(struct nbd_device *device, const struct nbd_device_params *params, int fd,
	int timeout_ms, struct err *err);
/*
 * Hands over a new socket after the old one died. ERR_AGAIN while the kernel has not noticed yet:
 * it then answers 0 and drops the new socket silently, which shows as end of file on the other end;
 * try again with a new pair after 50 ms (a trial on 6.1).
 */
int nbd_device_reconnect(
	struct nbd_device *device, const char *identifier, int fd, struct err *err);
/* Ends the device's service; reads fail from then on. */
int nbd_device_disconnect(struct nbd_device *device, struct err *err);
void nbd_device_done(struct nbd_device *device);

#endif
