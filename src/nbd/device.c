/* SPDX-License-Identifier: MIT */
/*
 * The kernel side of a network root. Every value here was tried out;
 * docs/internals/netroot-processes.md has the reasons. It knows nothing of what is served.
 */
#include "nbd/device.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/path.h"
#include "nbd/genetlink.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/nbd-netlink.h>
#include <linux/nbd.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* I/O waits that long for a new socket before it fails, in seconds: as good as for ever. */
#define DEAD_CONN_TIMEOUT (UINT64_C(365) * 24 * 3600)
/*
 * Requests that were in flight when their socket died are requeued only when this timer fires
 * (nbd_xmit_timeout()); with TIMEOUT 0 it costs a line in the kernel's log for each slow one.
 */
#define IO_TIMEOUT_MS 2000
#define MAX_SECTORS_KB 1024 /* larger reads in one request; the driver's default is small */
#define POLL_MS 5

static int open_netlink(struct nbd_device *device, struct err *err)
{
	if (device->netlink >= 0)
		return 0;
	AUTO_FD int fd = -1;
	if (genetlink_open(&fd, err) < 0)
		return -1;
	if (genetlink_family(fd, NBD_GENL_FAMILY_NAME, &device->family, err) < 0)
		return err_hint(err, "load the module nbd, with nbds_max=1");
	device->netlink = TAKE_FD(fd);
	return 0;
}

static void put_socket(struct genetlink_request *request, int fd)
{
	size_t sockets = genetlink_nest(request, NBD_ATTR_SOCKETS);
	size_t item = genetlink_nest(request, NBD_SOCK_ITEM);
	genetlink_put_u32(request, NBD_SOCK_FD, (uint32_t)fd);
	genetlink_unnest(request, item);
	genetlink_unnest(request, sockets);
}

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/*
 * The device is ready when its thread's pid and its size are there: the kernel sets both after the
 * request is answered (the size inside the thread from 6.13 on), and sysfs wakes nobody for it.
 */
static int wait_for_size(const struct nbd_device *device, const struct nbd_device_params *params,
	int timeout_ms, struct err *err)
{
	AUTO_FREE char *pid = path_printf(err, "/sys/block/nbd%u/pid", device->index);
	AUTO_FREE char *size = path_printf(err, "/sys/block/nbd%u/size", device->index);
	int64_t deadline = now_ms() + timeout_ms;
	uint64_t found = 0;
	if (pid == NULL || size == NULL)
		return -1;
	do {
		AUTO_FREE char *text = NULL;
		if (access(pid, F_OK) == 0) {
			if (fd_read_line_file(AT_FDCWD, size, &text, err) < 0)
				return -1;
			found = strtoull(text, NULL, 10) * 512;
			if (found == params->size)
				return 0;
		}
		poll(NULL, 0, POLL_MS);
	} while (now_ms() < deadline);
	return err_raise(err, ERR_AGAIN,
		"'/dev/nbd%u' has %" PRIu64 " bytes after %d ms, not %" PRIu64, device->index,
		found, timeout_ms, params->size);
}

static int set_limit(
	const struct nbd_device *device, const char *name, unsigned value, struct err *err)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u\n", value);
	AUTO_FREE char *path = path_printf(err, "/sys/block/nbd%u/queue/%s", device->index, name);
	AUTO_FD int fd = -1;
	if (path == NULL || fd_open(AT_FDCWD, path, O_WRONLY, &fd, err) < 0)
		return -1;
	return fd_write_full(fd, text, (size_t)len, path, err);
}

/* The kernel's answers to CONNECT are bare numbers (nbd_genl_connect()). */
static int explain_connect(const struct nbd_device_params *params, struct err *err)
{
	int sys = err->sys;
	if (sys == EBUSY)
		return err_hint(err, "another program uses '/dev/nbd%u'", params->index);
	if (sys == EPERM)
		return err_hint(err, "only root can attach a network block device");
	return -1;
}

int nbd_device_connect(struct nbd_device *device, const struct nbd_device_params *params, int fd,
	int timeout_ms, struct err *err)
{
	struct genetlink_request request;
	ERR_SCOPE(err, "cannot attach '/dev/nbd%u'", params->index);
	if (params->block_size == 0 || params->size % params->block_size != 0)
		return err_raise(err, ERR_USAGE,
			"size %" PRIu64 " is no multiple of block size %" PRIu32, params->size,
			params->block_size);
	if (open_netlink(device, err) < 0)
		return -1;
	device->index = params->index;
	genetlink_begin(&request, device->family, NBD_CMD_CONNECT, NBD_GENL_VERSION);
	genetlink_put_u32(&request, NBD_ATTR_INDEX, params->index);
	genetlink_put_u64(&request, NBD_ATTR_SIZE_BYTES, params->size);
	genetlink_put_u64(&request, NBD_ATTR_BLOCK_SIZE_BYTES, params->block_size);
	genetlink_put_u64(&request, NBD_ATTR_TIMEOUT, 0);
	genetlink_put_u64(&request, NBD_ATTR_SERVER_FLAGS,
		NBD_FLAG_HAS_FLAGS | NBD_FLAG_READ_ONLY | NBD_FLAG_CAN_MULTI_CONN);
	genetlink_put_u64(&request, NBD_ATTR_DEAD_CONN_TIMEOUT, DEAD_CONN_TIMEOUT);
	genetlink_put_str(&request, NBD_ATTR_BACKEND_IDENTIFIER, params->identifier);
	put_socket(&request, fd);
	if (genetlink_call(device->netlink, &request, "the kernel refuses", err) < 0)
		return explain_connect(params, err);
	if (wait_for_size(device, params, timeout_ms, err) < 0)
		return -1;
	if (set_limit(device, "io_timeout", IO_TIMEOUT_MS, err) < 0)
		return -1;
	return set_limit(device, "max_sectors_kb", MAX_SECTORS_KB, err);
}

int nbd_device_reconnect(struct nbd_device *device, const char *identifier, int fd, struct err *err)
{
	struct genetlink_request request;
	ERR_SCOPE(err, "cannot hand '/dev/nbd%u' a new socket", device->index);
	if (open_netlink(device, err) < 0)
		return -1;
	/* No TIMEOUT here: it would set io_timeout back. */
	genetlink_begin(&request, device->family, NBD_CMD_RECONFIGURE, NBD_GENL_VERSION);
	genetlink_put_u32(&request, NBD_ATTR_INDEX, device->index);
	genetlink_put_str(&request, NBD_ATTR_BACKEND_IDENTIFIER, identifier);
	put_socket(&request, fd);
	return genetlink_call(device->netlink, &request, "the kernel refuses", err);
}

int nbd_device_disconnect(struct nbd_device *device, struct err *err)
{
	struct genetlink_request request;
	ERR_SCOPE(err, "cannot detach '/dev/nbd%u'", device->index);
	if (open_netlink(device, err) < 0)
		return -1;
	genetlink_begin(&request, device->family, NBD_CMD_DISCONNECT, NBD_GENL_VERSION);
	genetlink_put_u32(&request, NBD_ATTR_INDEX, device->index);
	return genetlink_call(device->netlink, &request, "the kernel refuses", err);
}

void nbd_device_done(struct nbd_device *device)
{
	fd_close_ptr(&device->netlink);
	*device = NBD_DEVICE_INIT;
}
