/* SPDX-License-Identifier: MIT */
#ifndef SWARM_MDNS_SOCKET_H
#define SWARM_MDNS_SOCKET_H

/* The groups of multicast DNS (224.0.0.251 and ff02::fb, port 5353) on all interfaces. */

#include "base/err.h"

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define MDNS_INTERFACES_MAX 16
#define MDNS_INTERFACE_IPS_MAX 4

struct mdns_interface {
	unsigned index;
	uint8_t ips[MDNS_INTERFACE_IPS_MAX][16]; /* IPv4 as ::ffff:a.b.c.d; no link-local IPv6 */
	unsigned ip_count;
};

struct mdns_socket {
	int fd4, fd6; /* -1: the machine does not have that family */
	struct mdns_interface interfaces[MDNS_INTERFACES_MAX];
	unsigned count;
};

/* ERR_IO, ERR_AGAIN when somebody has the port for himself. mdns_socket_close() in any case. */
int mdns_socket_open(struct mdns_socket *socket, struct err *err);
void mdns_socket_close(struct mdns_socket *socket);
/* Looks which interfaces there are and joins their groups; true when they or their addresses
 * changed. */
bool mdns_socket_rescan(struct mdns_socket *socket);

/* Multicasts on one interface. What fails is a lost packet. */
void mdns_socket_multicast(
	const struct mdns_socket *socket, unsigned index, const void *data, size_t len);

struct mdns_sender {
	struct sockaddr_storage addr;
	socklen_t addr_len;
	unsigned index; /* of the interface that it came by */
	uint8_t ip[16];
	bool legacy; /* not from port 5353 */
};
/*
 * The next packet that was multicast: 1 and its length; 0 when there is none. What was sent to us
 * alone is dropped: it may come from another network (RFC 6762, section 11).
 */
int mdns_socket_receive(
	int fd, uint8_t *data, size_t size, size_t *ret_len, struct mdns_sender *ret_sender);
void mdns_socket_reply(int fd, const struct mdns_sender *sender, const void *data, size_t len);

#endif
