/* SPDX-License-Identifier: MIT */
#ifndef SWARM_MDNS_MESSAGE_H
#define SWARM_MDNS_MESSAGE_H

/*
 * The packets of multicast DNS (RFC 6762) as far as service discovery (RFC 6763) of
 * _snowboot._tcp.local needs them. Reading is bounded and believes nothing: anybody on the network
 * can send these.
 */

#include "base/buf.h"
#include "base/err.h"
#include "swarm/message.h"

#include <stdbool.h>
#include <stdint.h>

#define MDNS_SWARMS_MAX 4    /* keys that a node trusts, in one announcement */
#define MDNS_SERVICES_MAX 16 /* of one packet; more are not looked at */
#define MDNS_ADDRESSES_MAX 8 /* of one announcement */
#define MDNS_PACKET_MAX 9000 /* bytes, RFC 6762, section 17 */
#define MDNS_TTL_S 120       /* of all our records: they have host names or tell of one */

/* Which systems a node can share: nodes with a trusted key and the site in common find each other.
 */
struct mdns_swarm {
	uint8_t bytes[16];
};

/* A node as it is announced. */
struct mdns_service {
	struct node_id id;
	struct mdns_swarm swarms[MDNS_SWARMS_MAX];
	unsigned swarm_count;
	uint16_t port;
	uint8_t ips[MDNS_ADDRESSES_MAX][16]; /* IPv4 as ::ffff:a.b.c.d */
	unsigned ip_count;
	uint32_t ttl_s; /* 0: it leaves */
};

struct mdns_packet {
	bool answer;       /* else a question */
	uint16_t id;       /* to be repeated to who is no multicast DNS */
	bool asks_service; /* who offers ours */
	bool asks_self;    /* about the records of the node that was given to the parser */
	bool known;        /* the asker knows that node, for longer than half of its time */
	struct mdns_service services[MDNS_SERVICES_MAX]; /* of an answer: those that are complete */
	unsigned service_count;
};

/* The swarm of a trusted key (its 32 bytes) at a site. */
struct mdns_swarm mdns_swarm_of(const uint8_t key[32], const char *site);

/*
 * Reads a packet as the node `self`. ERR_CORRUPT for what is none, also when only its end is wrong;
 * records that are not ours are skipped.
 */
int mdns_packet_read(const uint8_t *data, size_t len, const struct node_id *self,
	struct mdns_packet *ret, struct err *err);

/* Appends "who offers it?". ERR_NOMEM. */
int mdns_put_question(struct buf *out, struct err *err);
/*
 * Appends all records of a service, to be multicast. With `legacy` for a resolver that asked from
 * another port than 5353: its id and question, and short times (RFC 6762, section 6.7).
 */
int mdns_put_answer(const struct mdns_service *service, const struct mdns_packet *legacy,
	struct buf *out, struct err *err);

#endif
