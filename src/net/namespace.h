/* SPDX-License-Identifier: MIT */
#ifndef NET_NAMESPACE_H
#define NET_NAMESPACE_H

/*
 * Network namespaces by descriptor, without /proc: a node that starts again after the hand-over has
 * none. SIOCGSKNS (Linux 4.9, net/socket.c) names the namespace of a socket.
 */

#include "base/err.h"

/* The namespace that the process is in. */
int namespace_current(int *ret_fd, struct err *err);
/* A new, empty one, in which the process then is. ERR_IO without the right to, or the support. */
int namespace_new(int *ret_fd, struct err *err);
int namespace_enter(int fd, struct err *err);

#endif
