/* SPDX-License-Identifier: MIT */
#ifndef SERVE_INTERFACE_H
#define SERVE_INTERFACE_H

/* Which network interface clients are on, and the address they reach us at. */

#include "base/err.h"
#include "base/vec.h"

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>

struct interface {
	char name[IFNAMSIZ];
	bool loopback, up, has_addr;
	struct in_addr addr; /* its first IPv4 address */
	unsigned prefix;     /* bits of the netmask */
};

struct interface_list {
	struct interface *items;
	size_t len;
	size_t cap;
};

/* Appends this machine's interfaces to an empty list, which the caller gives to vec_done(). */
int interface_read(struct interface_list *list, struct err *err);

/*
 * The interface called `name`; with NULL the only one that is up and has an IPv4 address, loopback
 * left out. ERR_NOT_FOUND when there is none, ERR_USAGE when several qualify (all are named).
 */
int interface_choose(const struct interface_list *list, const char *name, struct interface *ret,
	struct err *err);

/* The netmask, and the addresses of the network and of its broadcasts. */
struct in_addr interface_netmask(const struct interface *interface);
struct in_addr interface_network(const struct interface *interface);
struct in_addr interface_broadcast(const struct interface *interface);

#endif
