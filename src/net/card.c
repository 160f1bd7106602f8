/* SPDX-License-Identifier: MIT */
/*
 * Interfaces on a card. Those of the node's own namespace are named by the card's index, so that a
 * node that starts again in the same namespace finds and takes them over, addresses and all.
 */
#include "net/card.h"

#include "base/digest.h"
#include "base/fd.h"
#include "net/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OWN_METRIC 100
#define SHARED_METRIC 20000 /* behind whatever stage 2 sets: it chooses the machine's routes */

/* Best effort: stage 1's /proc is gone when a node starts again, and what was set then stays. */
static void set(const char *name, const char *key, const char *value)
{
	char path[128];
	snprintf(path, sizeof(path), "/proc/sys/net/%s/%s", name, key);
	AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)!write(fd, value, strlen(value));
}

void card_prepare_namespace(void)
{
	set("ipv4/conf", "all/ignore_routes_with_linkdown", "1");
	set("ipv4/conf", "default/arp_notify", "1");
	set("ipv6/conf", "default/accept_ra", "2");
	set("ipv6/conf", "default/addr_gen_mode", "0"); /* by the MAC: the same at every boot */
}

void card_own_mac(const uint8_t mac[static 6], uint8_t ret[static 6])
{
	static const char label[8] = "snowboot";
	uint8_t seed[sizeof(label) + 6];
	memcpy(seed, label, sizeof(label));
	memcpy(seed + sizeof(label), mac, 6);
	struct digest digest = digest_of(seed, sizeof(seed));
	memcpy(ret, digest.bytes, 6);
	ret[0] = (uint8_t)((ret[0] & 0xfc) | 0x02); /* IEEE 802: local, not a group */
}

struct wanted {
	const char *name;
	struct link_state found; /* index 0: not there */
};

static void match_name(const struct nlmsghdr *message, void *data)
{
	struct wanted *wanted = data;
	struct link_state state;
	if (link_parse(message, &state) && strcmp(state.name, wanted->name) == 0)
		wanted->found = state;
}

static int find_link(int netlink, const char *name, struct link_state *ret, struct err *err)
{
	struct wanted wanted = {.name = name};
	if (netlink_dump(netlink, RTM_GETLINK, match_name, &wanted, err) < 0)
		return -1;
	if (wanted.found.index == 0)
		return err_raise(err, ERR_NOT_FOUND, "there is no link '%s'", name);
	*ret = wanted.found;
	return 0;
}

/* A name may be taken: by us, before we started again. */
static int tolerate_existing(int made, struct err *err)
{
	if (made < 0 && err->sys == EEXIST) {
		err_reset(err);
		return 0;
	}
	return made;
}

/* The VLAN on `link`, in its namespace, named as everybody names them. */
static int add_vlan(int netlink, int vlan, struct link_state *link, struct err *err)
{
	char name[IFNAMSIZ + 8];
	snprintf(name, sizeof(name), "%.*s.%d", IFNAMSIZ - 6, link->name, vlan);
	name[IFNAMSIZ - 1] = '\0';
	int made = link_add_vlan(netlink, link->index, name, (uint16_t)vlan, err);
	if (tolerate_existing(made, err) < 0)
		return err_prefix(err, "VLAN %d", vlan);
	if (find_link(netlink, name, link, err) < 0 || link_set_up(netlink, link->index, err) < 0)
		return err_prefix(err, "VLAN %d", vlan);
	return 0;
}

static int start(const struct link_state *link, int netlink, uint32_t metric,
	const struct card_env *env, struct uplink **ret, struct err *err)
{
	struct uplink *uplink = calloc(1, sizeof(*uplink));
	if (uplink == NULL)
		return err_oom(err);
	uplink->netlink = netlink;
	uplink->index = link->index;
	uplink->mtu = link->mtu;
	uplink->metric = metric + (uint32_t)link->index;
	uplink->keep = true;
	uplink->changed = env->changed;
	uplink->data = env->data;
	memcpy(uplink->name, link->name, sizeof(uplink->name));
	memcpy(uplink->mac, link->mac, sizeof(uplink->mac));
	if (uplink_start(uplink, env->base, env->uuid, err) < 0) {
		free(uplink);
		return -1;
	}
	*ret = uplink;
	return 0;
}

int card_start_own(struct card *card, const struct card_env *env, struct err *err)
{
	char name[IFNAMSIZ];
	uint8_t mac[6];
	struct link_state link;
	snprintf(name, sizeof(name), "node%d", card->link.index);
	card_own_mac(card->link.mac, mac);
	int made = link_add_macvlan(
		env->host_netlink, card->link.index, name, mac, env->own_namespace, err);
	if (tolerate_existing(made, err) < 0 || find_link(env->own_netlink, name, &link, err) < 0 ||
		link_set_up(env->own_netlink, link.index, err) < 0)
		return -1;
	if (env->vlan != 0 && add_vlan(env->own_netlink, env->vlan, &link, err) < 0)
		return -1;
	return start(&link, env->own_netlink, OWN_METRIC, env, &card->own, err);
}

/* The process may be in its own namespace, but the socket for packets must be the card's. */
static int start_elsewhere(struct card *card, const struct link_state *link,
	const struct card_env *env, struct err *err)
{
	if (env->own_namespace >= 0 && namespace_enter(env->host_namespace, err) < 0)
		return -1;
	int r = start(link, env->host_netlink, SHARED_METRIC, env, &card->shared, err);
	struct err back = ERR_INIT;
	if (env->own_namespace >= 0 && namespace_enter(env->own_namespace, &back) < 0)
		return r < 0 ? -1 : (*err = back, -1);
	return r;
}

int card_start_shared(struct card *card, const struct card_env *env, struct err *err)
{
	struct link_state link = card->link;
	if (env->vlan != 0 && add_vlan(env->host_netlink, env->vlan, &link, err) < 0)
		return -1;
	return start_elsewhere(card, &link, env, err);
}

static void free_uplink(struct uplink **uplink)
{
	if (*uplink != NULL)
		uplink_stop(*uplink);
	free(*uplink);
	*uplink = NULL;
}

void card_stop_own(struct card *card, int own_netlink)
{
	struct err err = ERR_INIT;
	if (card->own != NULL && link_delete(own_netlink, card->own->index, &err) < 0)
		err_reset(&err); /* it goes with its namespace */
	free_uplink(&card->own);
}

void card_stop_shared(struct card *card)
{
	struct err err = ERR_INIT;
	struct uplink *uplink = card->shared;
	if (uplink != NULL && uplink->lease.address.s_addr != 0 &&
		address_remove(uplink->netlink, uplink->index, uplink->lease.address,
			uplink->lease.prefix_len, &err) < 0)
		err_reset(&err); /* an address more on a card does no harm */
	free_uplink(&card->shared);
}

void card_set_carrier(struct card *card, bool carrier)
{
	if (card->own != NULL)
		uplink_set_carrier(card->own, carrier);
	if (card->shared != NULL)
		uplink_set_carrier(card->shared, carrier);
}

void card_free(struct card *card)
{
	if (card == NULL)
		return;
	free_uplink(&card->own);
	free_uplink(&card->shared);
	free(card);
}
