/* SPDX-License-Identifier: MIT */
#ifndef NET_NETLINK_H
#define NET_NETLINK_H

/*
 * Requests to the kernel's routing netlink and what it announces (rtnetlink(7), Linux
 * include/uapi/linux/{netlink,rtnetlink}.h). A socket belongs to the network namespace in which it
 * was opened, wherever the process goes afterwards.
 */

#include "base/err.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdint.h>

struct netlink_request {
	uint8_t data[512];
	size_t len;
};

/* Opens a socket that hears of `groups` (a mask of RTMGRP_*), or none; not blocking in that case.
 */
int netlink_open(uint32_t groups, int *ret_fd, struct err *err);

/* Begins a request whose fixed head (struct ifinfomsg, …) has `size` bytes. */
void netlink_begin(struct netlink_request *request, uint16_t type, uint16_t flags, const void *head,
	size_t size);
/* Appends an attribute. Requests are small and made by us: one that does not fit is a bug. */
void netlink_put(struct netlink_request *request, uint16_t type, const void *data, size_t size);
void netlink_put_u32(struct netlink_request *request, uint16_t type, uint32_t value);
/* Appends an attribute that holds those put until netlink_nest_end(). */
size_t netlink_nest(struct netlink_request *request, uint16_t type);
void netlink_nest_end(struct netlink_request *request, size_t nest);

/* Sends the request and waits for the kernel's word. err->sys is its errno. */
int netlink_talk(int fd, struct netlink_request *request, const char *what, struct err *err);
/* Asks for everything of a kind (RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE); visit sees each. */
typedef void netlink_visit_fn(const struct nlmsghdr *message, void *data);
int netlink_dump(int fd, uint16_t type, netlink_visit_fn *visit, void *data, struct err *err);
/*
 * Passes on what was announced, until nothing waits. Returns 1 when the kernel had to drop some:
 * ask for everything again.
 */
int netlink_drain(int fd, netlink_visit_fn *visit, void *data, struct err *err);

/* The attribute of that type, of the message whose fixed head has `head_size` bytes, if it has at
 * least min_size bytes; else NULL. Its data lives as long as the message. */
const void *netlink_attribute(const struct nlmsghdr *message, size_t head_size, uint16_t type,
	size_t min_size, size_t *ret_size);

#endif
