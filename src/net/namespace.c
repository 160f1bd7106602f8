/* SPDX-License-Identifier: MIT */
/* Going from one network namespace to another: sockets stay in the one they were opened in. */
#include "net/namespace.h"

#include "base/fd.h"
#include "net/net.h"

#include <linux/sockios.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int namespace_current(int *ret_fd, struct err *err)
{
	AUTO_FD int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
	int namespace = fd >= 0 ? ioctl(fd, SIOCGSKNS) : -1;
	if (namespace < 0)
		return err_sys(err, "cannot name the network namespace");
	*ret_fd = namespace; /* close-on-exec: kernel fs/nsfs.c */
	return 0;
}

int namespace_new(int *ret_fd, struct err *err)
{
	if (unshare(CLONE_NEWNET) < 0)
		return err_sys(err, "cannot make a network namespace");
	return namespace_current(ret_fd, err);
}

int namespace_enter(int fd, struct err *err)
{
	if (setns(fd, CLONE_NEWNET) < 0)
		return err_sys(err, "cannot enter a network namespace");
	return 0;
}

int net_namespace_new(int *ret_fd, struct err *err)
{
	AUTO_FD int here = -1, namespace = -1;
	if (namespace_current(&here, err) < 0 || namespace_new(&namespace, err) < 0 ||
		namespace_enter(here, err) < 0)
		return -1;
	*ret_fd = TAKE_FD(namespace);
	return 0;
}
