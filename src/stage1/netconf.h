/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_NETCONF_H
#define STAGE1_NETCONF_H

/*
 * What stage 1 gives the node's program: the node's configuration, and how to get on the network.
 * One text, so that it fits the one descriptor which the supervisor keeps for the next node: lines
 * of `key value` about the network, an empty line, the node's own (node/node.h).
 */

#include "net/net.h"
#include "node/node.h"
#include "stage1/cmdline.h"

#define NETCONF_FILE "/snowboot/node.conf" /* in the initramfs: this is a network root */
#define NETCONF_MAX ((size_t)128 << 10)    /* bytes */

/* Of the network only first_mac, vlan and mode; the machine id is the node's. */
struct netconf {
	struct net_params net;
	struct node_config node;
};

#define AUTO_NETCONF AUTO(netconf_done) struct netconf
void netconf_done(struct netconf *conf);

int netconf_encode(const struct netconf *conf, struct buf *out, struct err *err);
int netconf_decode(const char *text, size_t len, struct netconf *ret, struct err *err);

/*
 * Adds what the kernel command line says (snowboot-stage1(7)) to what came with the initramfs.
 * ERR_USAGE names the parameter that makes no sense.
 */
int netconf_apply(struct netconf *conf, const struct cmdline *cmdline, struct err *err);
/* "01-52-54-00-…" or "52:54:00:…"; false when it is neither. */
bool netconf_parse_mac(const char *text, uint8_t ret[static 6]);

#endif
