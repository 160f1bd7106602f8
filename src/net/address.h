/* SPDX-License-Identifier: MIT */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

/* Addresses and routes, as the kernel tells of them and as it is told. `fd` is of netlink_open().
 */

#include "net/dhcp_message.h"
#include "net/netlink.h"

#include <stdbool.h>

struct address_state {
	int index; /* of the link */
	int family;
	struct in_addr address;
	struct in6_addr address6;
	uint8_t prefix_len;
	bool usable; /* of global scope, and found to be nobody else's */
	bool gone;
};

/* False for what is no message about an address. */
bool address_parse(const struct nlmsghdr *message, struct address_state *ret);
/* A route of that link and metric went away. */
bool address_is_route_loss(const struct nlmsghdr *message, int index, uint32_t metric);
/* The name server in a router's advertisement (RFC 8106), with the link it came by. */
bool address_parse_dns6(const struct nlmsghdr *message, int *ret_index, struct in6_addr *ret);

/* What a lease asks for, on link `index`: put there, or replaced where it is there already. */
int address_apply(
	int fd, int index, const struct dhcp_reply *lease, uint32_t metric, struct err *err);
/* Takes the address, and with it its routes, away. */
int address_remove(int fd, int index, struct in_addr address, uint8_t prefix_len, struct err *err);

#endif
