/* SPDX-License-Identifier: MIT */
#ifndef NET_DHCP_CLIENT_H
#define NET_DHCP_CLIENT_H

/*
 * What a DHCP client decides (RFC 2131 §4.4): pure, with the clock given and nothing sent. Who owns
 * the sockets asks dhcp_client_tick() what to send when dhcp_client_next() has come, and passes on
 * what arrives. Milliseconds of a clock that runs through suspend.
 */

#include "net/dhcp_message.h"

#include <stdbool.h>

enum dhcp_state {
	DHCP_SELECTING,
	DHCP_REQUESTING,
	DHCP_REBOOTING, /* asks for an address that it had */
	DHCP_BOUND,
	DHCP_RENEWING,
	DHCP_REBINDING,
};

struct dhcp_lease {
	struct dhcp_reply reply;
	int64_t renew_ms, rebind_ms, end_ms; /* INT64_MAX: never */
};

struct dhcp_client {
	struct dhcp_identity who;
	enum dhcp_state state;
	uint64_t random;
	uint32_t xid;
	unsigned sent, refused; /* in this state; NAKs since the last ACK */
	int64_t since_ms, next_ms;
	struct in_addr wanted; /* what to ask for */
	struct dhcp_reply offer;
	struct dhcp_lease lease;
	bool has_lease; /* it may have ended: an address that nobody else claims is kept */
};

struct dhcp_send {
	struct dhcp_query query;
	struct in_addr from, to; /* to 0: broadcast */
};

enum dhcp_news {
	DHCP_NEWS_NONE,
	DHCP_NEWS_LEASE,   /* new, changed or renewed: look at it */
	DHCP_NEWS_REFUSED, /* the server said no: the address must go */
};

/* Begins at now_ms; `wanted` is an address that it had before, or 0. `seed` makes it unlike others.
 */
void dhcp_client_init(struct dhcp_client *client, const struct dhcp_identity *who, uint64_t seed,
	struct in_addr wanted, int64_t now_ms);
/* The link was away and is back: perhaps on another network. Keeps the lease until told otherwise.
 */
void dhcp_client_link_back(struct dhcp_client *client, int64_t now_ms);
/* When to call dhcp_client_tick(). */
int64_t dhcp_client_next(const struct dhcp_client *client);
/* Whether something is to be sent now, and what. */
bool dhcp_client_tick(struct dhcp_client *client, int64_t now_ms, struct dhcp_send *ret);
enum dhcp_news dhcp_client_receive(
	struct dhcp_client *client, const struct dhcp_reply *reply, int64_t now_ms);

#endif
