/* SPDX-License-Identifier: MIT */
/*
 * The states of RFC 2131 figure 5. Two things differ, since a machine whose root is behind this
 * address has nothing to gain by giving it up: tries never end, and a lease that ended while no
 * server answered is kept until one refuses it or gives another (as KeepConfiguration=dhcp of
 * systemd.network(5)).
 */
#include "net/dhcp_client.h"

#include <string.h>

#define FIRST_WAIT_MS \
	1000 /* RFC 2131 §4.1 says 4 s; a boot should not wait that for one packet \
	      */
#define MOST_WAIT_MS 32000
#define LEAST_RENEW_MS 10000 /* RFC 2131 §4.4.5 says 60 s, which short leases have no time for */
#define REQUEST_TRIES 4
#define REBOOT_TRIES 3
#define REFUSED_WAIT_MS 2000

/* xorshift64: to be unlike the neighbours, no more. */
static uint64_t next_random(struct dhcp_client *client)
{
	client->random ^= client->random << 13;
	client->random ^= client->random >> 7;
	client->random ^= client->random << 17;
	return client->random;
}

static void enter(struct dhcp_client *client, enum dhcp_state state, int64_t next_ms)
{
	client->state = state;
	client->sent = 0;
	client->next_ms = next_ms;
}

/* A new exchange, for an address that it had or for any. */
static void begin(struct dhcp_client *client, int64_t now_ms, int64_t wait_ms)
{
	client->xid = (uint32_t)next_random(client);
	client->since_ms = now_ms;
	enter(client, client->wanted.s_addr != 0 ? DHCP_REBOOTING : DHCP_SELECTING,
		now_ms + wait_ms);
}

void dhcp_client_init(struct dhcp_client *client, const struct dhcp_identity *who, uint64_t seed,
	struct in_addr wanted, int64_t now_ms)
{
	*client =
		(struct dhcp_client){.who = *who, .random = seed != 0 ? seed : 1, .wanted = wanted};
	begin(client, now_ms, 0);
}

void dhcp_client_link_back(struct dhcp_client *client, int64_t now_ms)
{
	client->wanted = client->has_lease ? client->lease.reply.address : client->wanted;
	begin(client, now_ms, 0);
}

int64_t dhcp_client_next(const struct dhcp_client *client)
{
	return client->next_ms;
}

/* 1, 2, 4 … 32 s, an eighth more or less: RFC 2131 §4.1. */
static int64_t backoff(struct dhcp_client *client)
{
	int64_t wait = MOST_WAIT_MS;
	if (client->sent < 5)
		wait = (int64_t)FIRST_WAIT_MS << client->sent;
	return wait - wait / 8 + (int64_t)(next_random(client) % (uint64_t)(wait / 4));
}

/* Half of what is left: RFC 2131 §4.4.5. */
static int64_t half_way(int64_t now_ms, int64_t end_ms)
{
	int64_t left = (end_ms - now_ms) / 2;
	return now_ms + (left > LEAST_RENEW_MS ? left : LEAST_RENEW_MS);
}

/* States that have lasted long enough give way to the next. */
static void move_on(struct dhcp_client *client, int64_t now_ms)
{
	const struct dhcp_lease *lease = &client->lease;
	bool over = client->has_lease && now_ms >= lease->end_ms;
	if (client->state == DHCP_REQUESTING && client->sent >= REQUEST_TRIES) {
		client->wanted.s_addr = 0;
		begin(client, now_ms, 0);
	}
	if (client->state == DHCP_REBOOTING && client->sent >= REBOOT_TRIES)
		enter(client, client->has_lease && !over ? DHCP_REBINDING : DHCP_SELECTING, now_ms);
	if (client->state == DHCP_BOUND)
		enter(client, DHCP_RENEWING, now_ms);
	if (client->state == DHCP_RENEWING && now_ms >= lease->rebind_ms)
		enter(client, DHCP_REBINDING, now_ms);
	if (client->state == DHCP_REBINDING && over) {
		client->wanted.s_addr = 0;
		begin(client, now_ms, 0);
	}
	if ((client->state == DHCP_RENEWING || client->state == DHCP_REBINDING) &&
		client->sent == 0) {
		client->xid = (uint32_t)next_random(client);
		client->since_ms = now_ms;
	}
}

bool dhcp_client_tick(struct dhcp_client *client, int64_t now_ms, struct dhcp_send *ret)
{
	if (now_ms < client->next_ms)
		return false;
	move_on(client, now_ms);
	const struct dhcp_reply *mine = &client->lease.reply;
	int64_t seconds = (now_ms - client->since_ms) / 1000;
	struct dhcp_send send = {
		.query = {.type = DHCP_REQUEST,
			.xid = client->xid,
			.seconds = seconds < UINT16_MAX ? (uint16_t)seconds : UINT16_MAX},
	};
	int64_t next_ms = now_ms + backoff(client);
	switch (client->state) {
	case DHCP_SELECTING:
		send.query.type = DHCP_DISCOVER;
		if (client->has_lease)
			send.query.requested = mine->address;
		break;
	case DHCP_REQUESTING:
		send.query.requested = client->offer.address;
		send.query.server = client->offer.server;
		break;
	case DHCP_REBOOTING:
		send.query.requested = client->wanted;
		break;
	case DHCP_BOUND:
	case DHCP_RENEWING:
		send.query.client = send.from = mine->address;
		send.to = mine->server;
		next_ms = half_way(now_ms, client->lease.rebind_ms);
		break;
	case DHCP_REBINDING:
		send.query.client = send.from = mine->address;
		next_ms = half_way(now_ms, client->lease.end_ms);
		break;
	}
	client->sent++;
	client->next_ms = next_ms;
	*ret = send;
	return true;
}

static int64_t after(int64_t now_ms, uint32_t seconds, uint32_t lease_s)
{
	return lease_s == UINT32_MAX ? INT64_MAX : now_ms + (int64_t)seconds * 1000;
}

static void bind_lease(struct dhcp_client *client, const struct dhcp_reply *reply, int64_t now_ms)
{
	client->lease = (struct dhcp_lease){
		.reply = *reply,
		.renew_ms = after(now_ms, reply->renew_s, reply->lease_s),
		.rebind_ms = after(now_ms, reply->rebind_s, reply->lease_s),
		.end_ms = after(now_ms, reply->lease_s, reply->lease_s),
	};
	/* A renewal goes to whom gave it, also when the answer does not repeat who that is. */
	if (reply->server.s_addr == 0)
		client->lease.reply.server = client->offer.server;
	client->has_lease = true;
	client->wanted = reply->address;
	client->refused = 0;
	enter(client, DHCP_BOUND, client->lease.renew_ms);
}

enum dhcp_news dhcp_client_receive(
	struct dhcp_client *client, const struct dhcp_reply *reply, int64_t now_ms)
{
	if (reply->xid != client->xid || client->state == DHCP_BOUND)
		return DHCP_NEWS_NONE;
	if (client->state == DHCP_SELECTING) {
		if (reply->type != DHCP_OFFER)
			return DHCP_NEWS_NONE;
		client->offer = *reply;
		enter(client, DHCP_REQUESTING, now_ms);
		return DHCP_NEWS_NONE;
	}
	if (reply->type == DHCP_OFFER || client->sent == 0)
		return DHCP_NEWS_NONE;
	/* Only the server that was chosen speaks about its offer. */
	if (client->state == DHCP_REQUESTING && reply->server.s_addr != 0 &&
		reply->server.s_addr != client->offer.server.s_addr)
		return DHCP_NEWS_NONE;
	if (reply->type == DHCP_ACK) {
		bind_lease(client, reply, now_ms);
		return DHCP_NEWS_LEASE;
	}
	client->has_lease = false;
	client->wanted.s_addr = 0;
	begin(client, now_ms, client->refused++ > 0 ? REFUSED_WAIT_MS : 0);
	return DHCP_NEWS_REFUSED;
}
