/* SPDX-License-Identifier: MIT */
#ifndef NET_NET_H
#define NET_NET_H

/*
 * The network of a node whose root lies behind it: brings links up, gets an address by DHCP or by
 * IPv6 router advertisement, keeps it. Runs on the node's event loop, in whatever network namespace
 * the process is in. RFC 2131, 2132, 4862; rtnetlink.
 */

#include "base/err.h"

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct net;

enum net_mode {
	NET_OWN,    /* a macvlan in a network namespace of our own: stage 2's firewall and network
		       services do not see it */
	NET_SHARED, /* the machine's own link; stage 2 is told to keep the address */
};

struct net_params {
	uint8_t first_mac[6]; /* of the link that PXE used (BOOTIF=), zeros when unknown */
	int vlan;             /* 1 … 4094, or 0 */
	enum net_mode
		mode; /* NET_OWN falls back to NET_SHARED where it cannot be had, and says so */
	uint8_t machine_id[16]; /* the DHCP client identifier derives from it (RFC 4361: DUID-UUID)
				 */
	int namespace_fd; /* NET_OWN: the namespace of a node that died, with its interfaces and
			     addresses, which are used at once; 0: a new one. Borrowed */
};

struct net_state {
	char link[IFNAMSIZ];      /* the physical one */
	char interface[IFNAMSIZ]; /* that has the address */
	uint8_t mac[6];
	enum net_mode mode;
	struct in_addr address, router, dns[3];
	uint8_t prefix_len;
	struct in6_addr address6; /* global; :: without one */
	struct in6_addr dns6;
	int64_t lease_ends; /* CLOCK_BOOTTIME seconds; 0: none */
};

/* A new network namespace that outlives whoever is in it, for namespace_fd. The caller stays where
 * it is. ERR_IO where it may not, or the kernel cannot. */
int net_namespace_new(int *ret_fd, struct err *err);

/*
 * Begins: every link is tried, the first one before the others; DHCP is retried for ever with
 * back-off. `changed` is called when an address was got, lost or changed; an address without a
 * usable lease is kept for as long as nobody refuses it (docs/internals/network-root.md). Sockets
 * of the process for IP must not be made before `changed` told of the first address: with NET_OWN
 * the process changes into its namespace here, and out of it again when nothing answers there.
 */
int net_new(struct event_base *base, const struct net_params *params,
	void (*changed)(const struct net_state *state, void *data), void *data, struct net **ret,
	struct err *err);
struct net *net_free(struct net *net); /* keeps addresses; NULL is fine; returns NULL */

#endif
