/* SPDX-License-Identifier: MIT */
/*
 * Which cards there are, and which interface on which of them is tried when. Two ways lead over a
 * card: a macvlan in a namespace of our own, and, when nothing answers there (switches and
 * hypervisors may let only one MAC through), the card itself. Where the process ends up is decided
 * by the first address.
 */
#include "net/net.h"

#include "base/digest.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/vec.h"
#include "net/card.h"
#include "net/namespace.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <unistd.h>

#define OTHERS_MS 4000   /* the card that PXE used has this long for itself */
#define SHARED_MS 8000   /* without an answer on the macvlan, the card itself is tried as well */
#define CHANCE_MS 3000   /* for the macvlan, once the card itself has an address */
#define RELEASE_MS 30000 /* cards on which nobody answered are left alone then */
#define REVIEW_MS 500
#define CALM_REVIEW_MS 5000 /* once there is an address */

/* A namespace: one socket to ask, one to listen. */
struct place {
	int namespace, ask, hear;
	struct event *heard;
};

struct net {
	struct event_base *base;
	struct net_params params;
	void (*changed)(const struct net_state *state, void *data);
	void *data;
	struct place host, own; /* own.namespace is -1 when there is none */
	VEC(struct card *) cards;
	struct event *review;
	int64_t began_ms;
	bool decided;           /* an address was got, and with it params.mode */
	int64_t chance_ends_ms; /* of the macvlans; 0: has not begun */
	struct net_state state;
};

static const struct net_state no_state;

static void review(struct net *net);
static void report(struct net *net);

static void place_done(struct place *place)
{
	if (place->heard != NULL)
		event_free(place->heard);
	place->heard = NULL;
	fd_close_ptr(&place->ask);
	fd_close_ptr(&place->hear);
	fd_close_ptr(&place->namespace);
}

/* In the namespace that the process is in. */
static int place_open(
	struct place *place, struct net *net, event_callback_fn heard, struct err *err)
{
	const uint32_t groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
		RTMGRP_IPV4_ROUTE | 1u << (RTNLGRP_ND_USEROPT - 1);
	if (netlink_open(0, &place->ask, err) < 0 || netlink_open(groups, &place->hear, err) < 0)
		return -1;
	place->heard = event_new(net->base, place->hear, EV_READ | EV_PERSIST, heard, net);
	if (place->heard == NULL || event_add(place->heard, NULL) < 0)
		return err_oom(err);
	return 0;
}

static struct card *find_card(struct net *net, int index)
{
	VEC_FOREACH(card, &net->cards)
		if ((*card)->link.index == index)
			return *card;
	return NULL;
}

/* By which the card is used, in the mode that holds. */
static struct uplink *card_uplink(const struct net *net, const struct card *card)
{
	return net->params.mode == NET_OWN ? card->own : card->shared;
}

static bool is_first(const struct net *net, const struct card *card)
{
	return memcmp(card->link.mac, net->params.first_mac, 6) == 0;
}

static struct card *add_card(struct net *net, const struct link_state *link)
{
	struct err err = ERR_INIT;
	struct card *card = calloc(1, sizeof(*card));
	if (card == NULL || vec_push(&net->cards, card, &err) < 0) {
		free(card);
		log_error("no memory for link '%s', ignoring it", link->name);
		return NULL;
	}
	card->link = *link;
	log_info("link '%s', %02x:%02x:%02x:%02x:%02x:%02x%s", link->name, link->mac[0],
		link->mac[1], link->mac[2], link->mac[3], link->mac[4], link->mac[5],
		is_first(net, card) ? ", which PXE used" : "");
	return card;
}

static void remove_card(struct net *net, int index)
{
	for (size_t i = 0; i < net->cards.len; i++) {
		struct card *card = net->cards.items[i];
		if (card->link.index != index)
			continue;
		log_warning("link '%s' is gone", card->link.name);
		card_free(card);
		net->cards.items[i] = net->cards.items[--net->cards.len];
		report(net);
		return;
	}
}

static void hear_link(
	struct net *net, const struct nlmsghdr *message, const struct link_state *link)
{
	struct card *card = find_card(net, link->index);
	if (message->nlmsg_type == RTM_DELLINK) {
		remove_card(net, link->index);
		return;
	}
	/* Later ones are containers' and the like, unless they are hardware. */
	if (card == NULL && link->ethernet && (link->hardware || !net->decided))
		card = add_card(net, link);
	if (card == NULL)
		return;
	card->link = *link;
	if (card->shared != NULL && net->params.vlan == 0)
		memcpy(card->shared->name, link->name, sizeof(link->name)); /* udev renames */
	card_set_carrier(card, link->carrier);
}

static void hear_host(const struct nlmsghdr *message, void *data)
{
	struct net *net = data;
	struct link_state link;
	if (link_parse(message, &link)) {
		hear_link(net, message, &link);
		return;
	}
	VEC_FOREACH(card, &net->cards)
		if ((*card)->shared != NULL)
			uplink_hear((*card)->shared, message);
}

static void hear_own(const struct nlmsghdr *message, void *data)
{
	struct net *net = data;
	VEC_FOREACH(card, &net->cards)
		if ((*card)->own != NULL)
			uplink_hear((*card)->own, message);
}

/* What is announced while the process is elsewhere is not lost: the socket belongs to its place. */
static void drain(struct net *net, struct place *place, netlink_visit_fn *hear)
{
	struct err err = ERR_INIT;
	int r = netlink_drain(place->hear, hear, net, &err);
	if (r > 0)
		r = netlink_dump(place->ask, RTM_GETLINK, hear, net, &err);
	if (r < 0)
		log_ignored(&err);
}

static void on_host(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	struct net *net = data;
	drain(net, &net->host, hear_host);
	review(net);
}

static void on_own(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	struct net *net = data;
	drain(net, &net->own, hear_own);
}

/* The state, as others see it */

static bool has_ipv4(const struct uplink *uplink)
{
	return uplink->lease.address.s_addr != 0;
}

/* IPv4 before IPv6 alone, a link that works before one that does not, then the order of cards. */
static bool is_better(const struct uplink *a, const struct uplink *b)
{
	if (a->carrier != b->carrier)
		return a->carrier;
	if (has_ipv4(a) != has_ipv4(b))
		return has_ipv4(a);
	return a->metric < b->metric;
}

static void describe(const struct net *net, const struct card *card, const struct uplink *uplink,
	struct net_state *ret)
{
	struct net_state state = {
		.mode = net->params.mode,
		.address = uplink->lease.address,
		.router = uplink->lease.router,
		.prefix_len = uplink->lease.prefix_len,
		.address6 = uplink->address6,
		.dns6 = uplink->dns6,
	};
	memcpy(state.link, card->link.name, sizeof(state.link));
	memcpy(state.interface, uplink->name, sizeof(state.interface));
	memcpy(state.mac, uplink->mac, sizeof(state.mac));
	memcpy(state.dns, uplink->lease.dns, sizeof(state.dns));
	if (uplink->dhcp.has_lease && uplink->dhcp.lease.end_ms != INT64_MAX)
		state.lease_ends = uplink->dhcp.lease.end_ms / 1000;
	*ret = state;
}

static void report(struct net *net)
{
	const struct card *best_card = NULL;
	const struct uplink *best = NULL;
	VEC_FOREACH(card, &net->cards) {
		const struct uplink *uplink = card_uplink(net, *card);
		if (!net->decided || uplink == NULL || !uplink_has_address(uplink))
			continue;
		if (best == NULL || is_better(uplink, best)) {
			best = uplink;
			best_card = *card;
		}
	}
	struct net_state state = no_state;
	if (best != NULL)
		describe(net, best_card, best, &state);
	/* A renewal is no news, and neither is a card's new name. */
	struct net_state old = net->state;
	net->state = state;
	old.lease_ends = state.lease_ends;
	memcpy(old.link, state.link, sizeof(old.link));
	if (memcmp(&old, &state, sizeof(old)) != 0)
		net->changed(&net->state, net->data);
}

/* Choosing between the two ways */

static void settle_own(struct net *net)
{
	net->decided = true;
	VEC_FOREACH(card, &net->cards)
		card_stop_shared(*card);
}

/* Out of the namespace, which goes away with what is in it. */
static void settle_shared(struct net *net, const struct uplink *winner)
{
	struct err err = ERR_INIT;
	if (net->params.mode == NET_OWN) {
		log_warning("nothing answers the node's own interface, sharing the machine's '%s'",
			winner->name);
		if (namespace_enter(net->host.namespace, &err) < 0) {
			log_ignored(&err);
			return;
		}
		net->params.mode = NET_SHARED;
	}
	net->decided = true;
	VEC_FOREACH(card, &net->cards) {
		card_stop_own(*card, net->own.ask);
		if ((*card)->shared != winner)
			card_stop_shared(*card);
	}
	place_done(&net->own);
}

/*
 * The card itself has an address. Perhaps the server was only late, and answered whoever asked
 * first (a switch that learns, a server that starts): the macvlans ask once more before they lose.
 */
static bool has_another_chance(struct net *net)
{
	if (net->params.mode != NET_OWN)
		return false;
	if (net->chance_ends_ms == 0) {
		net->chance_ends_ms = uplink_now_ms() + CHANCE_MS;
		VEC_FOREACH(card, &net->cards)
			if ((*card)->own != NULL)
				uplink_ask_again((*card)->own);
	}
	return uplink_now_ms() < net->chance_ends_ms;
}

static void on_uplink(struct uplink *uplink, void *data)
{
	struct net *net = data;
	if (!net->decided && uplink_has_address(uplink)) {
		bool own = false;
		VEC_FOREACH(card, &net->cards)
			own |= (*card)->own == uplink;
		if (own)
			settle_own(net);
		else if (!has_another_chance(net))
			settle_shared(net, uplink);
	}
	report(net);
}

static bool may_begin(const struct net *net, const struct card *card)
{
	static const uint8_t unknown[6];
	return memcmp(net->params.first_mac, unknown, 6) == 0 || is_first(net, card) ||
		uplink_now_ms() - net->began_ms >= OTHERS_MS;
}

static struct card_env environment(struct net *net)
{
	return (struct card_env){
		.base = net->base,
		.host_netlink = net->host.ask,
		.host_namespace = net->host.namespace,
		.own_netlink = net->own.ask,
		.own_namespace = net->own.namespace,
		.vlan = net->params.vlan,
		.uuid = net->params.machine_id,
		.changed = on_uplink,
		.data = net,
	};
}

static void begin_own(struct net *net, struct card *card)
{
	struct err err = ERR_INIT;
	const struct card_env env = environment(net);
	if (card_start_own(card, &env, &err) == 0)
		return;
	log_warning("%s: %s, trying to share the machine's", card->link.name, err.msg);
	card->own_failed = true;
}

static void begin_shared(struct net *net, struct card *card)
{
	struct err err = ERR_INIT;
	const struct card_env env = environment(net);
	if (card_start_shared(card, &env, &err) == 0)
		return;
	if (!card->shared_failed)
		log_warning("%s: %s, trying again", card->link.name, err.msg);
	card->shared_failed = true;
}

/* No way out works now, so every card is of interest; else only those that have an address. */
static bool is_searching(const struct net *net)
{
	VEC_FOREACH(card, &net->cards) {
		const struct uplink *uplink = card_uplink(net, *card);
		if (net->decided && uplink != NULL && uplink_has_address(uplink) && uplink->carrier)
			return false;
	}
	return true;
}

/* A macvlan keeps a card from becoming a bridge's port, and an address that nobody needs from
 * others. */
static void release(struct net *net, struct card *card)
{
	if (net->decided && card->own != NULL && !uplink_has_address(card->own) &&
		uplink_now_ms() - card->own->started_ms >= RELEASE_MS)
		card_stop_own(card, net->own.ask);
}

static void review_card(struct net *net, struct card *card)
{
	struct err err = ERR_INIT;
	const struct uplink *used = card_uplink(net, card);
	bool searching = is_searching(net);
	if ((searching || (used != NULL && uplink_has_address(used))) && !card->link.up &&
		link_set_up(net->host.ask, card->link.index, &err) < 0)
		log_debug("%s: %s", card->link.name, err.msg);
	if (!searching) {
		release(net, card);
		return;
	}
	bool own = net->params.mode == NET_OWN;
	if (!card->link.carrier || !may_begin(net, card))
		return;
	if (own && card->own == NULL && !card->own_failed)
		begin_own(net, card);
	bool in_vain = card->own_failed ||
		(card->own != NULL && uplink_now_ms() - card->own->started_ms >= SHARED_MS);
	if (!net->decided && card->shared == NULL && (!own || in_vain))
		begin_shared(net, card);
	/* What was there when it began, and what waited for the macvlans' last chance. */
	struct uplink *const ways[] = {card->own, card->shared};
	for (size_t i = 0; i < ARRAY_LEN(ways) && !net->decided; i++)
		if (ways[i] != NULL && uplink_has_address(ways[i]))
			on_uplink(ways[i], net);
}

/* Looks at every card again: whatever is due is begun. Cheap, and so nothing is ever forgotten. */
static void review(struct net *net)
{
	for (size_t i = 0; i < net->cards.len; i++)
		review_card(net, net->cards.items[i]);
	int ms = net->decided ? CALM_REVIEW_MS : REVIEW_MS;
	const struct timeval wait = {ms / 1000, ms % 1000 * 1000};
	event_add(net->review, &wait);
}

static void on_review(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	review(data);
}

/* Enters the namespace that was kept from the last start, or a new one. */
static int open_own(struct net *net, struct err *err)
{
	if (net->params.namespace_fd > 0) {
		net->own.namespace = dup(net->params.namespace_fd);
		if (net->own.namespace < 0)
			return err_sys(err, "cannot keep the network namespace");
		if (namespace_enter(net->own.namespace, err) < 0)
			return -1;
	} else if (namespace_new(&net->own.namespace, err) < 0) {
		return -1;
	}
	card_prepare_namespace();
	return place_open(&net->own, net, on_own, err);
}

static int open_places(struct net *net, struct err *err)
{
	if (namespace_current(&net->host.namespace, err) < 0 ||
		place_open(&net->host, net, on_host, err) < 0)
		return -1;
	if (net->params.mode != NET_OWN || open_own(net, err) == 0)
		return 0;
	log_warning("%s, sharing the machine's network", err->msg);
	err_reset(err);
	place_done(&net->own);
	net->params.mode = NET_SHARED;
	return namespace_enter(net->host.namespace, err);
}

int net_new(struct event_base *base, const struct net_params *params,
	void (*changed)(const struct net_state *state, void *data), void *data, struct net **ret,
	struct err *err)
{
	struct net *net = calloc(1, sizeof(*net));
	if (net == NULL)
		return err_oom(err);
	*net = (struct net){.base = base,
		.params = *params,
		.changed = changed,
		.data = data,
		.host = {.namespace = -1, .ask = -1, .hear = -1},
		.own = {.namespace = -1, .ask = -1, .hear = -1},
		.began_ms = uplink_now_ms()};
	net->review = event_new(base, -1, 0, on_review, net);
	const struct timeval at_once = {0};
	if (net->review == NULL || event_add(net->review, &at_once) < 0) {
		net_free(net);
		return err_oom(err);
	}
	if (open_places(net, err) < 0 ||
		netlink_dump(net->host.ask, RTM_GETLINK, hear_host, net, err) < 0) {
		net_free(net);
		return -1;
	}
	*ret = net;
	return 0;
}

struct net *net_free(struct net *net)
{
	if (net == NULL)
		return NULL;
	VEC_FOREACH(card, &net->cards)
		card_free(*card);
	vec_done(&net->cards);
	if (net->review != NULL)
		event_free(net->review);
	place_done(&net->own);
	place_done(&net->host);
	free(net);
	return NULL;
}
