/* SPDX-License-Identifier: MIT */
#ifndef NET_UPLINK_H
#define NET_UPLINK_H

/*
 * One interface by which the world may be reached: its DHCP client, and the addresses it has. Knows
 * nothing of other interfaces, or of namespaces: `netlink` is a socket of the interface's.
 */

#include "net/address.h"
#include "net/dhcp_client.h"
#include "net/link.h"

struct event;
struct event_base;

struct uplink {
	int netlink; /* borrowed */
	int index;
	char name[IFNAMSIZ];
	uint8_t mac[6];
	uint32_t mtu, metric;
	bool keep; /* puts its address back when somebody takes it away */
	void (*changed)(struct uplink *uplink, void *data); /* an address came, went or changed */
	void *data;

	struct dhcp_client dhcp;
	int packets;
	struct event *readable, *timer, *keeper;
	int64_t started_ms, applied_ms;
	bool carrier;
	struct dhcp_reply lease;  /* what is on the interface; address 0: nothing */
	struct in6_addr address6; /* global, or :: */
	struct in6_addr dns6;
};

/* Milliseconds of CLOCK_BOOTTIME, which runs through suspend. */
int64_t uplink_now_ms(void);

/*
 * Begins on an interface that is up, in whose namespace the process must be; netlink to changed are
 * set. What addresses it has are taken for the last start's. `uuid` as in struct dhcp_identity.
 */
int uplink_start(struct uplink *uplink, struct event_base *base, const uint8_t uuid[static 16],
	struct err *err);
/* Addresses stay. */
void uplink_stop(struct uplink *uplink);
/* Sends at once, whatever the back-off says. */
void uplink_ask_again(struct uplink *uplink);
bool uplink_has_address(const struct uplink *uplink);
void uplink_set_carrier(struct uplink *uplink, bool carrier);
/* Any message of the interface's namespace. */
void uplink_hear(struct uplink *uplink, const struct nlmsghdr *message);

#endif
