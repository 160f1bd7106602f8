/* SPDX-License-Identifier: MIT */
/*
 * Messages of rtnetlink about addresses and routes. Addresses have no lifetime in the kernel: who
 * keeps them (net.c) knows better when one has to go.
 */
#include "net/address.h"

#include "base/bytes.h"

#include <errno.h>
#include <linux/icmpv6.h>
#include <linux/if_addr.h>
#include <string.h>

#define ND_OPT_RDNSS 25 /* RFC 8106 §5.1: type, length, 2 reserved, lifetime, addresses */

bool address_parse(const struct nlmsghdr *message, struct address_state *ret)
{
	struct ifaddrmsg head;
	if ((message->nlmsg_type != RTM_NEWADDR && message->nlmsg_type != RTM_DELADDR) ||
		message->nlmsg_len < NLMSG_LENGTH(sizeof(head)))
		return false;
	memcpy(&head, NLMSG_DATA(message), sizeof(head));
	struct address_state state = {
		.index = (int)head.ifa_index,
		.family = head.ifa_family,
		.prefix_len = head.ifa_prefixlen,
		.gone = message->nlmsg_type == RTM_DELADDR,
	};
	uint32_t flags = head.ifa_flags;
	const void *more = netlink_attribute(message, sizeof(head), IFA_FLAGS, 4, NULL);
	if (more != NULL)
		memcpy(&flags, more, sizeof(flags));
	/* IFA_LOCAL is the address where a link has a peer's as well. */
	size_t size = head.ifa_family == AF_INET ? 4 : 16;
	uint16_t type = head.ifa_family == AF_INET ? IFA_LOCAL : IFA_ADDRESS;
	const void *address = netlink_attribute(message, sizeof(head), type, size, NULL);
	if (address == NULL || (head.ifa_family != AF_INET && head.ifa_family != AF_INET6))
		return false;
	memcpy(head.ifa_family == AF_INET ? (void *)&state.address : (void *)&state.address6,
		address, size);
	state.usable = head.ifa_scope == RT_SCOPE_UNIVERSE && !state.gone &&
		(flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED)) == 0;
	*ret = state;
	return true;
}

bool address_is_route_loss(const struct nlmsghdr *message, int index, uint32_t metric)
{
	uint32_t oif = 0, priority = 0;
	if (message->nlmsg_type != RTM_DELROUTE)
		return false;
	const void *a = netlink_attribute(message, sizeof(struct rtmsg), RTA_OIF, 4, NULL);
	const void *b = netlink_attribute(message, sizeof(struct rtmsg), RTA_PRIORITY, 4, NULL);
	if (a == NULL || b == NULL)
		return false;
	memcpy(&oif, a, sizeof(oif));
	memcpy(&priority, b, sizeof(priority));
	return oif == (uint32_t)index && priority == metric;
}

bool address_parse_dns6(const struct nlmsghdr *message, int *ret_index, struct in6_addr *ret)
{
	struct nduseroptmsg head;
	if (message->nlmsg_type != RTM_NEWNDUSEROPT ||
		message->nlmsg_len < NLMSG_LENGTH(sizeof(head)))
		return false;
	memcpy(&head, NLMSG_DATA(message), sizeof(head));
	const uint8_t *option = (const uint8_t *)NLMSG_DATA(message) + sizeof(head);
	size_t len = message->nlmsg_len - NLMSG_LENGTH(sizeof(head));
	if (len > head.nduseropt_opts_len)
		len = head.nduseropt_opts_len;
	if (len < 24 || option[0] != ND_OPT_RDNSS || option[1] < 3 || get_be32(option + 4) == 0)
		return false;
	memcpy(ret, option + 8, sizeof(*ret));
	*ret_index = head.nduseropt_ifindex;
	return true;
}

static int add_address(int fd, int index, const struct dhcp_reply *lease, struct err *err)
{
	const struct ifaddrmsg head = {
		.ifa_family = AF_INET,
		.ifa_prefixlen = lease->prefix_len,
		.ifa_scope = RT_SCOPE_UNIVERSE,
		.ifa_index = (uint32_t)index,
	};
	struct netlink_request request;
	netlink_begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof(head));
	netlink_put(&request, IFA_LOCAL, &lease->address, 4);
	netlink_put(&request, IFA_ADDRESS, &lease->address, 4);
	if (lease->prefix_len < 31) {
		uint32_t host = ~0u >> lease->prefix_len;
		struct in_addr broadcast = {lease->address.s_addr | htonl(host)};
		netlink_put(&request, IFA_BROADCAST, &broadcast, 4);
	}
	return netlink_talk(fd, &request, "set an address", err);
}

static int add_route(int fd, int index, const struct dhcp_route *route, struct in_addr from,
	uint32_t metric, struct err *err)
{
	bool direct = route->via.s_addr == 0;
	const struct rtmsg head = {
		.rtm_family = AF_INET,
		.rtm_dst_len = route->prefix_len,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_DHCP,
		.rtm_scope = direct ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST,
		/* Routers outside the subnet are common where prefixes are /32. */
		.rtm_flags = direct ? 0 : RTNH_F_ONLINK,
	};
	struct netlink_request request;
	netlink_begin(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof(head));
	if (route->prefix_len > 0)
		netlink_put(&request, RTA_DST, &route->to, 4);
	if (!direct)
		netlink_put(&request, RTA_GATEWAY, &route->via, 4);
	netlink_put(&request, RTA_PREFSRC, &from, 4);
	netlink_put_u32(&request, RTA_OIF, (uint32_t)index);
	netlink_put_u32(&request, RTA_PRIORITY, metric);
	return netlink_talk(fd, &request, "set a route", err);
}

int address_apply(
	int fd, int index, const struct dhcp_reply *lease, uint32_t metric, struct err *err)
{
	if (add_address(fd, index, lease, err) < 0)
		return -1;
	/* First those on the link, by which the others' routers may be reached. */
	for (int direct = 1; direct >= 0; direct--)
		for (size_t i = 0; i < lease->route_count; i++)
			if ((lease->routes[i].via.s_addr == 0) == direct &&
				add_route(fd, index, &lease->routes[i], lease->address, metric,
					err) < 0)
				return -1;
	const struct dhcp_route all = {.via = lease->router};
	if (lease->router.s_addr == 0)
		return 0;
	return add_route(fd, index, &all, lease->address, metric, err);
}

int address_remove(int fd, int index, struct in_addr address, uint8_t prefix_len, struct err *err)
{
	const struct ifaddrmsg head = {
		.ifa_family = AF_INET, .ifa_prefixlen = prefix_len, .ifa_index = (uint32_t)index};
	struct netlink_request request;
	netlink_begin(&request, RTM_DELADDR, 0, &head, sizeof(head));
	netlink_put(&request, IFA_LOCAL, &address, 4);
	if (netlink_talk(fd, &request, "take an address away", err) == 0)
		return 0;
	if (err->sys != EADDRNOTAVAIL && err->sys != ENODEV)
		return -1;
	err_reset(err); /* it is not there any more */
	return 0;
}
