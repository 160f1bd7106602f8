/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_RESOLVER_H
#define STAGE1_RESOLVER_H

#include "net/net.h"

/*
 * Writes the name servers of the first address to /etc/resolv.conf, for origins that are named:
 * what resolves reads this file when it meets the first name, and never again. An initramfs has
 * none; one that is there counts. Whatever goes wrong is logged.
 */
void resolver_write(const struct net_state *state);

#endif
