/* SPDX-License-Identifier: MIT */
#ifndef VM_TAP_H
#define VM_TAP_H

/*
 * Tap devices by /dev/net/tun in the network namespace of this process: no setuid helper. One that
 * we create disappears with the last descriptor.
 */

#include "base/err.h"

/*
 * Opens the tap device `name`, creating it if needed (needs CAP_NET_ADMIN then); a name with "%d"
 * lets the kernel number it. *ret_fd is for QEMU; *ret_name, if ret_name is not NULL, is the name
 * it got. Caller owns both.
 */
int tap_open(const char *name, int *ret_fd, char **ret_name, struct err *err);

/* Makes the interface `name` a port of the bridge `bridge` and sets it up. */
int tap_join_bridge(const char *name, const char *bridge, struct err *err);

/* Sets the interface up. */
int tap_set_up(const char *name, struct err *err);

#endif
