/* SPDX-License-Identifier: MIT */
#ifndef NET_LINK_H
#define NET_LINK_H

/* Links as the kernel tells of them, and what can be done to one. `fd` is of netlink_open(). */

#include "net/netlink.h"

#include <net/if.h>
#include <stdbool.h>

struct link_state {
	int index;
	char name[IFNAMSIZ];
	uint8_t mac[6];
	uint32_t mtu;
	bool ethernet; /* a card: Ethernet, not loopback, nothing that software made but veth */
	bool hardware; /* no veth either */
	bool up;       /* somebody wants it up */
	bool carrier;
};

/* False for what is no message about a link. */
bool link_parse(const struct nlmsghdr *message, struct link_state *ret);

int link_set_up(int fd, int index, struct err *err);
int link_set_mtu(int fd, int index, uint32_t mtu, struct err *err);
int link_delete(int fd, int index, struct err *err);
/*
 * A macvlan of mode bridge on top of `parent`, made in the namespace `namespace_fd`. ERR_IO with
 * err->sys EOPNOTSUPP without the module, EEXIST when there is one of that name, EBUSY when
 * something else (a bridge, a bond) has the parent.
 */
int link_add_macvlan(int fd, int parent, const char *name, const uint8_t mac[static 6],
	int namespace_fd, struct err *err);
int link_add_vlan(int fd, int parent, const char *name, uint16_t id, struct err *err);

#endif
