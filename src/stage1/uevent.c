/* SPDX-License-Identifier: MIT */
/*
 * Devices as the kernel tells of them. Those that are there before we listen are read from their
 * `uevent` files, which hold the same lines as a message would: writing "add" to them would make
 * the kernel send each once more, to us and to nobody else.
 */
#include "stage1/uevent.h"

#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int uevent_open(int *ret_fd, struct err *err)
{
	AUTO_FD int fd = socket(
		AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	if (fd < 0)
		return err_sys(err, "cannot open the kernel's device events");
	int size_bytes = 16 << 20;
	/* A smaller buffer works as well: uevent_next() tells when it overran. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size_bytes, sizeof(size_bytes));
	const struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return err_sys(err, "cannot listen to the kernel's device events");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int uevent_next(int fd, struct uevent *ret, struct err *err)
{
	for (;;) {
		struct sockaddr_nl from = {0};
		struct iovec iov = {ret->data, UEVENT_MAX};
		struct msghdr msg = {.msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &iov,
			.msg_iovlen = 1};
		ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		if (n < 0 && errno == ENOBUFS)
			return err_raise(err, ERR_LIMIT, "the kernel dropped device events");
		if (n < 0)
			return err_sys(err, "cannot read the kernel's device events");
		/* Port 0 is the kernel; the head line is "add@/devices/…". */
		if (from.nl_pid != 0 || n == 0 || memchr(ret->data, '@', (size_t)n) == NULL)
			continue;
		ret->len = (size_t)n;
		ret->data[ret->len] = '\0';
		return 1;
	}
}

const char *uevent_get(const struct uevent *event, const char *key)
{
	size_t key_len = strlen(key);
	const char *end = event->data + event->len;
	for (const char *p = event->data; p < end; p += strlen(p) + 1)
		if (strncmp(p, key, key_len) == 0 && p[key_len] == '=')
			return p + key_len + 1;
	return NULL;
}

/* The `uevent` file of an open directory; false when it has none. */
static bool read_device(int dirfd, struct uevent *event)
{
	AUTO_FD int fd = openat(dirfd, "uevent", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, event->data, UEVENT_MAX);
	if (n <= 0)
		return false;
	event->len = (size_t)n;
	event->data[event->len] = '\0';
	for (char *p = event->data; (p = strchr(p, '\n')) != NULL;)
		*p++ = '\0';
	return true;
}

struct walk {
	struct uevent event;
	int (*visit)(const struct uevent *event, void *data);
	void *data;
};

/* sysfs has no deeper trees than PCI bridges and USB hubs make; the bound is against a loop. */
#define DEPTH_MAX 64

static int walk_folder(int parent, const char *name, int depth, struct walk *walk)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return 0; /* a device that went away */
	DIR *dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return 0;
	}
	int r = read_device(fd, &walk->event) ? walk->visit(&walk->event, walk->data) : 0;
	const struct dirent *entry;
	while (r == 0 && depth < DEPTH_MAX && (entry = readdir(dir)) != NULL)
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			r = walk_folder(fd, entry->d_name, depth + 1, walk);
	closedir(dir);
	return r;
}

int uevent_walk(
	const char *folder, int (*visit)(const struct uevent *event, void *data), void *data)
{
	struct walk walk = {.visit = visit, .data = data};
	return walk_folder(AT_FDCWD, folder, 0, &walk);
}
