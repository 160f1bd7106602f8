/* SPDX-License-Identifier: MIT */
/*
 * The DHCP client of one interface with its socket and timer, and what it puts on the interface.
 * IPv6 is the kernel's doing; here it is only noticed.
 */
#include "net/uplink.h"

#include "base/digest.h"
#include "base/fd.h"
#include "base/log.h"
#include "net/packet.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define KEEP_MS 900 /* between two times of putting an address back; less than a second */

int64_t uplink_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void arm(struct uplink *uplink)
{
	int64_t wait_ms = dhcp_client_next(&uplink->dhcp) - uplink_now_ms();
	if (wait_ms < 0)
		wait_ms = 0;
	if (wait_ms > 60000) /* timers of libevent stand still while the machine sleeps */
		wait_ms = 60000;
	const struct timeval wait = {wait_ms / 1000, wait_ms % 1000 * 1000};
	event_add(uplink->timer, &wait);
}

static void send_due(struct uplink *uplink)
{
	struct dhcp_send due;
	if (!dhcp_client_tick(&uplink->dhcp, uplink_now_ms(), &due))
		return;
	struct err err = ERR_INIT;
	uint8_t data[DHCP_QUERY_MAX];
	size_t len = dhcp_encode(&uplink->dhcp.who, &due.query, data);
	int r = due.to.s_addr != 0
		? packet_unicast(uplink->name, due.from, due.to, data, len, &err)
		: packet_broadcast(uplink->packets, uplink->index, due.from, data, len, &err);
	if (r < 0)
		log_debug("%s: %s, trying again", uplink->name, err.msg);
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	struct uplink *uplink = data;
	send_due(uplink);
	arm(uplink);
}

static void apply(struct uplink *uplink)
{
	struct err err = ERR_INIT;
	uplink->applied_ms = uplink_now_ms();
	if (address_apply(uplink->netlink, uplink->index, &uplink->lease, uplink->metric, &err) < 0)
		log_warning("%s: %s, going on", uplink->name, err.msg);
}

static void on_keeper(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	struct uplink *uplink = data;
	if (uplink->lease.address.s_addr == 0 || !uplink->carrier)
		return;
	log_warning("%s: somebody took the address or a route away, putting it back", uplink->name);
	apply(uplink);
}

static void drop_address(struct uplink *uplink)
{
	struct err err = ERR_INIT;
	if (address_remove(uplink->netlink, uplink->index, uplink->lease.address,
		    uplink->lease.prefix_len, &err) < 0)
		log_ignored(&err);
	uplink->lease = (struct dhcp_reply){0};
}

static void take_lease(struct uplink *uplink)
{
	const struct dhcp_reply *lease = &uplink->dhcp.lease.reply;
	struct dhcp_reply old = uplink->lease;
	bool same =
		old.address.s_addr == lease->address.s_addr && old.prefix_len == lease->prefix_len;
	struct err err = ERR_INIT;
	if (lease->mtu != 0 && lease->mtu != uplink->mtu &&
		link_set_mtu(uplink->netlink, uplink->index, lease->mtu, &err) < 0)
		log_ignored(&err);
	else if (lease->mtu != 0)
		uplink->mtu = lease->mtu;
	/* The new one first, so that routes change over without a gap. */
	uplink->lease = *lease;
	apply(uplink);
	if (old.address.s_addr != 0 && !same &&
		address_remove(uplink->netlink, uplink->index, old.address, old.prefix_len, &err) <
			0)
		log_ignored(&err);
	char text[INET_ADDRSTRLEN];
	if (!same)
		log_info("%s: address %s/%u for %u s", uplink->name,
			inet_ntop(AF_INET, &lease->address, text, sizeof(text)), lease->prefix_len,
			lease->lease_s);
	uplink->changed(uplink, uplink->data);
}

static void take_reply(struct uplink *uplink, const struct dhcp_reply *reply)
{
	switch (dhcp_client_receive(&uplink->dhcp, reply, uplink_now_ms())) {
	case DHCP_NEWS_NONE:
		return;
	case DHCP_NEWS_LEASE:
		take_lease(uplink);
		return;
	case DHCP_NEWS_REFUSED:
		log_warning("%s: the DHCP server refuses the address, asking for another",
			uplink->name);
		if (uplink->lease.address.s_addr != 0) {
			drop_address(uplink);
			uplink->changed(uplink, uplink->data);
		}
		return;
	}
}

static void on_readable(evutil_socket_t fd, short what, void *data)
{
	(void)what;
	struct uplink *uplink = data;
	uint8_t buffer[PACKET_MAX];
	const uint8_t *message;
	size_t len;
	struct err err = ERR_INIT;
	struct event *alive = uplink->readable;
	while (uplink->readable == alive &&
		packet_receive((int)fd, buffer, &message, &len, &err) > 0) {
		struct dhcp_reply reply;
		struct err not_ours = ERR_INIT; /* other clients' replies, and nonsense */
		if (dhcp_decode(message, len, uplink->mac, &reply, &not_ours) == 0)
			take_reply(uplink, &reply);
	}
	/* A link that went down says so once; what it means comes by netlink. */
	if (uplink->readable == alive)
		arm(uplink);
}

static void adopt(const struct nlmsghdr *message, void *data)
{
	struct uplink *uplink = data;
	struct address_state state;
	if (!address_parse(message, &state) || state.index != uplink->index || !state.usable)
		return;
	if (state.family == AF_INET6) {
		uplink->address6 = state.address6;
	} else if (uplink->lease.address.s_addr == 0) {
		uplink->lease.address = state.address;
		uplink->lease.prefix_len = state.prefix_len;
	}
}

int uplink_start(struct uplink *uplink, struct event_base *base, const uint8_t uuid[static 16],
	struct err *err)
{
	struct dhcp_identity who;
	struct digest mac = digest_of(uplink->mac, sizeof(uplink->mac));
	memcpy(who.mac, uplink->mac, sizeof(who.mac));
	memcpy(who.iaid, mac.bytes, sizeof(who.iaid)); /* the same for the same card */
	memcpy(who.uuid, uuid, sizeof(who.uuid));
	uint64_t seed = (uint64_t)uplink_now_ms();
	(void)!getrandom(&seed, sizeof(seed), GRND_NONBLOCK); /* the time will do */
	uplink->packets = -1;
	uplink->started_ms = uplink_now_ms();
	uplink->carrier = true;
	if (packet_open(uplink->index, &uplink->packets, err) < 0 ||
		netlink_dump(uplink->netlink, RTM_GETADDR, adopt, uplink, err) < 0) {
		fd_close_ptr(&uplink->packets);
		return -1;
	}
	dhcp_client_init(&uplink->dhcp, &who, seed, uplink->lease.address, uplink->started_ms);
	uplink->readable =
		event_new(base, uplink->packets, EV_READ | EV_PERSIST, on_readable, uplink);
	uplink->timer = event_new(base, -1, 0, on_timer, uplink);
	uplink->keeper = event_new(base, -1, 0, on_keeper, uplink);
	if (uplink->readable == NULL || uplink->timer == NULL || uplink->keeper == NULL ||
		event_add(uplink->readable, NULL) < 0) {
		uplink_stop(uplink);
		return err_oom(err);
	}
	arm(uplink);
	return 0;
}

void uplink_stop(struct uplink *uplink)
{
	struct event **events[] = {&uplink->readable, &uplink->timer, &uplink->keeper};
	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		if (*events[i] != NULL)
			event_free(*events[i]);
		*events[i] = NULL;
	}
	fd_close_ptr(&uplink->packets);
}

void uplink_ask_again(struct uplink *uplink)
{
	dhcp_client_link_back(&uplink->dhcp, uplink_now_ms());
	arm(uplink);
}

bool uplink_has_address(const struct uplink *uplink)
{
	return uplink->lease.address.s_addr != 0 || !IN6_IS_ADDR_UNSPECIFIED(&uplink->address6);
}

void uplink_set_carrier(struct uplink *uplink, bool carrier)
{
	if (carrier == uplink->carrier)
		return;
	uplink->carrier = carrier;
	log_info("%s: the link is %s", uplink->name, carrier ? "back" : "away");
	if (carrier) {
		/* Its routes went with the link's being down; the address may be another now. */
		if (uplink->lease.address.s_addr != 0)
			apply(uplink);
		uplink_ask_again(uplink);
	}
	uplink->changed(uplink, uplink->data);
}

/* Soon, but not in a fight with somebody who means it. */
static void put_back(struct uplink *uplink)
{
	int64_t wait_ms = uplink->applied_ms + KEEP_MS - uplink_now_ms();
	const struct timeval wait = {0, (wait_ms > 10 ? wait_ms : 10) * 1000};
	if (uplink->keep && uplink->lease.address.s_addr != 0 &&
		!event_pending(uplink->keeper, EV_TIMEOUT, NULL))
		event_add(uplink->keeper, &wait);
}

static void hear_address(struct uplink *uplink, const struct address_state *state)
{
	if (state->family == AF_INET) {
		if (state->gone && state->address.s_addr == uplink->lease.address.s_addr)
			put_back(uplink);
		return;
	}
	bool ours = IN6_ARE_ADDR_EQUAL(&state->address6, &uplink->address6);
	if (state->usable && IN6_IS_ADDR_UNSPECIFIED(&uplink->address6))
		uplink->address6 = state->address6;
	else if (!state->usable && ours)
		uplink->address6 = in6addr_any;
	else
		return;
	uplink->changed(uplink, uplink->data);
}

void uplink_hear(struct uplink *uplink, const struct nlmsghdr *message)
{
	struct address_state address;
	struct in6_addr dns6;
	int index;
	if (address_parse(message, &address)) {
		if (address.index == uplink->index)
			hear_address(uplink, &address);
	} else if (address_parse_dns6(message, &index, &dns6)) {
		if (index == uplink->index)
			uplink->dns6 = dns6;
	} else if (address_is_route_loss(message, uplink->index, uplink->metric)) {
		put_back(uplink);
	}
}
