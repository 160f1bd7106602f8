/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_KEEP_NETWORK_H
#define STAGE1_KEEP_NETWORK_H

/*
 * A node that shares the machine's link keeps its address there by itself (net/uplink.h); this
 * tells stage 2's services not to take it away in the first place. Where they read more than their
 * own configuration: below /run, which moves into the new root.
 */

#include "base/err.h"

#include <stdint.h>

struct keep_network {
	const char *run, *sys;     /* "/run", "/sys" but for tests */
	const char *root;          /* where the new root is mounted */
	const char *system;        /* toplevel store path below it */
	const char *link;          /* the shared one */
	const uint8_t *machine_id; /* 16 bytes */
};

/*
 * Writes for systemd-networkd a drop-in to each .network file of the system (systemd.network(5):
 * KeepConfiguration=, and the node's DHCP client identifier where the machine has but one card),
 * and for NetworkManager a file that leaves the link alone (NetworkManager.conf(5)). ERR_IO,
 * ERR_NOMEM.
 */
int keep_network(const struct keep_network *keep, struct err *err);

#endif
