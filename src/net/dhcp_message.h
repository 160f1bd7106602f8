/* SPDX-License-Identifier: MIT */
#ifndef NET_DHCP_MESSAGE_H
#define NET_DHCP_MESSAGE_H

/* DHCP messages as bytes: RFC 2131 §2, options of RFC 2132, classless routes of RFC 3442. */

#include "base/err.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#define DHCP_CLIENT_PORT 68
#define DHCP_SERVER_PORT 67
#define DHCP_MESSAGE_MAX 1472 /* of one we read: what an Ethernet frame has room for */
#define DHCP_QUERY_MAX 400    /* of one we write */
#define DHCP_ROUTES_MAX 32
#define DHCP_DNS_MAX 3

enum dhcp_type {
	DHCP_DISCOVER = 1,
	DHCP_OFFER = 2,
	DHCP_REQUEST = 3,
	DHCP_ACK = 5,
	DHCP_NAK = 6,
};

/* Who asks. */
struct dhcp_identity {
	uint8_t mac[6];
	uint8_t iaid[4];
	uint8_t uuid[16]; /* with iaid the client identifier: RFC 4361 §6.1, DUID-UUID of RFC 6355
			   */
};

/* A message of ours. */
struct dhcp_query {
	enum dhcp_type type;
	uint32_t xid;
	uint16_t seconds;         /* since the client began to try */
	struct in_addr client;    /* ciaddr: an address in use; else 0 */
	struct in_addr requested; /* option 50, or 0 */
	struct in_addr server;    /* option 54, or 0 */
};

struct dhcp_route {
	struct in_addr to, via; /* via 0.0.0.0: on the link */
	uint8_t prefix_len;
};

/* A message of a server. Addresses that it did not name are 0. */
struct dhcp_reply {
	enum dhcp_type type; /* offer, ack or nak */
	uint32_t xid;
	struct in_addr address, server;
	uint8_t prefix_len; /* of the mask, or of the address's class without one */
	struct in_addr dns[DHCP_DNS_MAX];
	struct in_addr router;                     /* of the default route; 0: none */
	struct dhcp_route routes[DHCP_ROUTES_MAX]; /* without the default route */
	size_t route_count;
	uint16_t mtu;                        /* 0: not named */
	uint32_t lease_s, renew_s, rebind_s; /* seconds; UINT32_MAX is for ever */
};

/* Writes the message; returns its length, at most DHCP_QUERY_MAX. */
size_t dhcp_encode(const struct dhcp_identity *who, const struct dhcp_query *query,
	uint8_t ret[static DHCP_QUERY_MAX]);

/*
 * Reads a server's message to the client with that MAC. ERR_CORRUPT for what is no such message;
 * ERR_NOT_FOUND when it is for another client.
 */
int dhcp_decode(const uint8_t *data, size_t len, const uint8_t mac[static 6],
	struct dhcp_reply *ret, struct err *err);

#endif
