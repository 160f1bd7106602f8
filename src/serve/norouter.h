/* SPDX-License-Identifier: MIT */
#ifndef SERVE_NOROUTER_H
#define SERVE_NOROUTER_H

/*
 * Tells machines that ask for an IPv6 router that there is none (RFC 4861, 4.2: a router
 * advertisement with lifetime 0 and no prefix). iPXE does not go on with its IPv4 address before
 * that question is answered or has timed out, which takes it some 13 seconds. Only for a network of
 * our own, where nobody else would answer.
 */

#include "base/err.h"

struct event_base;
struct norouter;

/* Listens on the interface. ERR_IO without the permission for raw sockets, or without IPv6. */
int norouter_start(
	struct event_base *base, const char *interface, struct norouter **ret, struct err *err);
struct norouter *norouter_stop(struct norouter *norouter); /* NULL is fine; returns NULL */

#endif
