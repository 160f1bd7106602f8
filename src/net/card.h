/* SPDX-License-Identifier: MIT */
#ifndef NET_CARD_H
#define NET_CARD_H

/* A network card and the interfaces by which it is used: the node's own, and the card itself. */

#include "net/uplink.h"

struct card {
	struct link_state link;
	struct uplink *own, *shared; /* NULL: not begun */
	bool own_failed, shared_failed;
};

/* What a card needs of those around it; all borrowed. */
struct card_env {
	struct event_base *base;
	int host_netlink, host_namespace;
	int own_netlink, own_namespace; /* -1 without one */
	int vlan;                       /* 0: none */
	const uint8_t *uuid;            /* 16 bytes: struct dhcp_identity */
	void (*changed)(struct uplink *uplink, void *data);
	void *data;
};

/* A macvlan in our namespace, in which the process is, and the VLAN on it; what is there is used.
 */
int card_start_own(struct card *card, const struct card_env *env, struct err *err);
/* The card itself, or the VLAN on it. */
int card_start_shared(struct card *card, const struct card_env *env, struct err *err);
void card_stop_own(struct card *card, int own_netlink); /* and deletes the macvlan */
void card_stop_shared(struct card *card); /* takes away what was put on it, unless it won */
void card_set_carrier(struct card *card, bool carrier);
void card_free(struct card *card); /* addresses stay; NULL is fine */

/* Settings of a new namespace that the process is in: none is indispensable. */
void card_prepare_namespace(void);
/* The MAC of the node's own interface on the card with that MAC: locally administered, always the
 * same, and unlikely to be another's. */
void card_own_mac(const uint8_t mac[static 6], uint8_t ret[static 6]);

#endif
