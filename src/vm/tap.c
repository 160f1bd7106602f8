/* SPDX-License-Identifier: MIT */
/* Tap devices and bridge ports by ioctl (Linux Documentation/networking/tuntap.rst, bridge(4)). */
#include "vm/tap.h"

#include "base/fd.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int set_name(struct ifreq *req, const char *name, struct err *err)
{
	if (name[0] == '\0' || strlen(name) >= IFNAMSIZ)
		return err_raise(err, ERR_USAGE,
			"'%s' is not a name for an interface (1 to %d bytes)", name, IFNAMSIZ - 1);
	memset(req, 0, sizeof(*req));
	memcpy(req->ifr_name, name, strlen(name));
	return 0;
}

static int diagnose_tap(const char *name, struct err *err)
{
	int cause = errno;
	err_errno(err, cause, "cannot open the tap device '%s'", name);
	if (cause == EPERM)
		return err_hint(err,
			"run as root, or make it first: ip tuntap add %s mode tap user $USER",
			name);
	if (cause == EBUSY)
		return err_hint(err, "another program has it; choose another name");
	if (cause == EINVAL)
		return err_hint(err, "an interface of that name exists and is no tap device");
	return -1;
}

int tap_open(const char *name, int *ret_fd, char **ret_name, struct err *err)
{
	struct ifreq req;
	if (set_name(&req, name, err) < 0)
		return -1;
	AUTO_FD int fd = -1;
	if (fd_open(AT_FDCWD, "/dev/net/tun", O_RDWR, &fd, err) < 0) {
		err_prefix(err, "tap device '%s'", name);
		return err_hint(err, "taps need the kernel's module 'tun'; --net user needs none");
	}
	/*
	 * IFF_VNET_HDR, since QEMU turns it on for virtio when the host can and takes the flag from
	 * the descriptor it is given.
	 */
	req.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	if (ioctl(fd, TUNSETIFF, &req) < 0)
		return diagnose_tap(name, err);
	if (ret_name != NULL) {
		*ret_name = strndup(req.ifr_name, IFNAMSIZ);
		if (*ret_name == NULL)
			return err_oom(err);
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int open_control(int *ret_fd, struct err *err)
{
	*ret_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return *ret_fd < 0 ? err_sys(err, "cannot open a socket") : 0;
}

int tap_set_up(const char *name, struct err *err)
{
	struct ifreq req;
	AUTO_FD int fd = -1;
	if (set_name(&req, name, err) < 0 || open_control(&fd, err) < 0)
		return -1;
	if (ioctl(fd, SIOCGIFFLAGS, &req) < 0)
		return err_sys(err, "cannot read the state of interface '%s'", name);
	if ((req.ifr_flags & IFF_UP) != 0)
		return 0;
	req.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &req) < 0)
		return err_sys(err, "cannot set interface '%s' up", name);
	return 0;
}

int tap_join_bridge(const char *name, const char *bridge, struct err *err)
{
	struct ifreq req;
	AUTO_FD int fd = -1;
	if (set_name(&req, bridge, err) < 0 || open_control(&fd, err) < 0)
		return -1;
	unsigned index = if_nametoindex(name);
	if (index == 0)
		return err_sys(err, "cannot find interface '%s'", name);
	if (if_nametoindex(bridge) == 0) {
		err_sys(err, "cannot find the bridge '%s'", bridge);
		return err_hint(err, "make it first: ip link add %s type bridge", bridge);
	}
	req.ifr_ifindex = (int)index;
	if (ioctl(fd, SIOCBRADDIF, &req) < 0) {
		int cause = errno;
		err_errno(err, cause, "cannot make '%s' a port of '%s'", name, bridge);
		return cause == EOPNOTSUPP ? err_hint(err, "'%s' is no bridge", bridge) : -1;
	}
	return tap_set_up(name, err);
}
