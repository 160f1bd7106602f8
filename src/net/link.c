/* SPDX-License-Identifier: MIT */
/* Messages of rtnetlink about links: RTM_NEWLINK and what it is made of. */
#include "net/link.h"

#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>

/* IFLA_INFO_KIND of IFLA_LINKINFO: what software made the link, or "" for a card. */
static void read_kind(const struct nlmsghdr *message, char *ret, size_t size)
{
	size_t len;
	const uint8_t *info = netlink_attribute(
		message, sizeof(struct ifinfomsg), IFLA_LINKINFO, sizeof(struct rtattr), &len);
	ret[0] = '\0';
	int left = info != NULL ? (int)len : 0;
	for (const struct rtattr *a = (const struct rtattr *)info; RTA_OK(a, left);
		a = RTA_NEXT(a, left))
		if (a->rta_type == IFLA_INFO_KIND)
			snprintf(ret, size, "%.*s", (int)RTA_PAYLOAD(a), (const char *)RTA_DATA(a));
}

bool link_parse(const struct nlmsghdr *message, struct link_state *ret)
{
	struct ifinfomsg head;
	if ((message->nlmsg_type != RTM_NEWLINK && message->nlmsg_type != RTM_DELLINK) ||
		message->nlmsg_len < NLMSG_LENGTH(sizeof(head)))
		return false;
	memcpy(&head, NLMSG_DATA(message), sizeof(head));
	/* Bridges tell of their ports in a family of their own. */
	if (head.ifi_family != AF_UNSPEC)
		return false;
	struct link_state state = {.index = head.ifi_index};
	size_t len;
	const char *name = netlink_attribute(message, sizeof(head), IFLA_IFNAME, 1, &len);
	const void *mac = netlink_attribute(message, sizeof(head), IFLA_ADDRESS, 6, NULL);
	const void *mtu = netlink_attribute(message, sizeof(head), IFLA_MTU, 4, NULL);
	if (name == NULL)
		return false;
	snprintf(state.name, sizeof(state.name), "%.*s", (int)len, name);
	if (mac != NULL)
		memcpy(state.mac, mac, sizeof(state.mac));
	if (mtu != NULL)
		memcpy(&state.mtu, mtu, sizeof(state.mtu));
	char kind[32];
	read_kind(message, kind, sizeof(kind));
	state.ethernet = head.ifi_type == ARPHRD_ETHER && (head.ifi_flags & IFF_LOOPBACK) == 0 &&
		mac != NULL && (kind[0] == '\0' || strcmp(kind, "veth") == 0);
	state.hardware = state.ethernet && kind[0] == '\0';
	state.up = (head.ifi_flags & IFF_UP) != 0;
	state.carrier = (head.ifi_flags & IFF_LOWER_UP) != 0;
	*ret = state;
	return true;
}

int link_set_up(int fd, int index, struct err *err)
{
	const struct ifinfomsg head = {
		.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	struct netlink_request request;
	netlink_begin(&request, RTM_NEWLINK, 0, &head, sizeof(head));
	return netlink_talk(fd, &request, "bring a link up", err);
}

int link_set_mtu(int fd, int index, uint32_t mtu, struct err *err)
{
	const struct ifinfomsg head = {.ifi_index = index};
	struct netlink_request request;
	netlink_begin(&request, RTM_NEWLINK, 0, &head, sizeof(head));
	netlink_put_u32(&request, IFLA_MTU, mtu);
	return netlink_talk(fd, &request, "set the MTU of a link", err);
}

int link_delete(int fd, int index, struct err *err)
{
	const struct ifinfomsg head = {.ifi_index = index};
	struct netlink_request request;
	netlink_begin(&request, RTM_DELLINK, 0, &head, sizeof(head));
	return netlink_talk(fd, &request, "delete a link", err);
}

static void begin_new_link(struct netlink_request *request, const char *name, int parent)
{
	const struct ifinfomsg head = {0};
	netlink_begin(request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head));
	netlink_put(request, IFLA_IFNAME, name, strlen(name) + 1);
	netlink_put_u32(request, IFLA_LINK, (uint32_t)parent);
}

int link_add_macvlan(int fd, int parent, const char *name, const uint8_t mac[static 6],
	int namespace_fd, struct err *err)
{
	struct netlink_request request;
	begin_new_link(&request, name, parent);
	netlink_put(&request, IFLA_ADDRESS, mac, 6);
	netlink_put_u32(&request, IFLA_NET_NS_FD, (uint32_t)namespace_fd);
	size_t info = netlink_nest(&request, IFLA_LINKINFO);
	netlink_put(&request, IFLA_INFO_KIND, "macvlan", strlen("macvlan"));
	size_t data = netlink_nest(&request, IFLA_INFO_DATA);
	netlink_put_u32(&request, IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE);
	netlink_nest_end(&request, data);
	netlink_nest_end(&request, info);
	return netlink_talk(fd, &request, "make a macvlan", err);
}

int link_add_vlan(int fd, int parent, const char *name, uint16_t id, struct err *err)
{
	struct netlink_request request;
	begin_new_link(&request, name, parent);
	size_t info = netlink_nest(&request, IFLA_LINKINFO);
	netlink_put(&request, IFLA_INFO_KIND, "vlan", strlen("vlan"));
	size_t data = netlink_nest(&request, IFLA_INFO_DATA);
	netlink_put(&request, IFLA_VLAN_ID, &id, sizeof(id));
	netlink_nest_end(&request, data);
	netlink_nest_end(&request, info);
	return netlink_talk(fd, &request, "make a VLAN", err);
}
