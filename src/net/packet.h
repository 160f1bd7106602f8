/* SPDX-License-Identifier: MIT */
#ifndef NET_PACKET_H
#define NET_PACKET_H

/*
 * DHCP's packets on a link that has no address yet: AF_PACKET (packet(7)), with a filter in the
 * kernel that lets only UDP to the client's port through. It also hears what is sent to the address
 * later on, before any firewall.
 */

#include "base/err.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_MAX 1500 /* bytes of an IP packet */

/* In the network namespace that the process is in. Not blocking. */
int packet_open(int index, int *ret_fd, struct err *err);
/* Sends `data` from port 68 of `from` (which may be 0) to port 67 of everybody on the link. */
int packet_broadcast(
	int fd, int index, struct in_addr from, const void *data, size_t len, struct err *err);
/* Sends from port 68 to port 67 of `to`, through the kernel's routes, by link `name`. */
int packet_unicast(const char *name, struct in_addr from, struct in_addr to, const void *data,
	size_t len, struct err *err);
/*
 * Takes the next packet: 1 with the payload, which points into `buffer`; 0 when none waits.
 * Packets that are damaged are skipped. -1 when the link is gone or down.
 */
int packet_receive(int fd, uint8_t buffer[static PACKET_MAX], const uint8_t **ret_data,
	size_t *ret_len, struct err *err);

/* Finds the payload of an IP packet with UDP to the client's port; false when it is none, or is
 * damaged. `sums` is false where the card has yet to fill in the checksum of UDP. */
struct packet_view {
	const uint8_t *data;
	size_t len;
};
bool packet_parse(const uint8_t *packet, size_t len, bool sums, struct packet_view *ret);

#endif
