/* SPDX-License-Identifier: MIT */
#ifndef SERVE_NEIGHBOUR_H
#define SERVE_NEIGHBOUR_H

#include <stdbool.h>

/*
 * The hardware address ("52:54:00:aa:bb:01") that the kernel knows for an IPv4 or IPv6 address of a
 * network that this machine is in. False: unknown, behind a router, or our own.
 */
bool neighbour_find(const char *address, char mac[18]);

#endif
