/* SPDX-License-Identifier: MIT */
/* Choosing is a pure function of the list, so that every machine's case can be tested on any. */
#include "serve/interface.h"

#include "base/buf.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <string.h>

static struct interface *find(struct interface_list *list, const char *name)
{
	VEC_FOREACH(i, list)
		if (strcmp(i->name, name) == 0)
			return i;
	return NULL;
}

static int add(struct interface_list *list, const struct ifaddrs *ifa, struct err *err)
{
	if (find(list, ifa->ifa_name) == NULL) {
		struct interface i = {
			.loopback = (ifa->ifa_flags & IFF_LOOPBACK) != 0,
			.up = (ifa->ifa_flags & IFF_UP) != 0,
		};
		strncpy(i.name, ifa->ifa_name, sizeof(i.name) - 1);
		if (vec_push(list, i, err) < 0)
			return -1;
	}
	struct interface *i = find(list, ifa->ifa_name);
	if (i == NULL || i->has_addr || ifa->ifa_addr == NULL || ifa->ifa_netmask == NULL ||
		ifa->ifa_addr->sa_family != AF_INET)
		return 0;
	i->has_addr = true;
	i->addr = ((const struct sockaddr_in *)ifa->ifa_addr)->sin_addr;
	i->prefix = (unsigned)__builtin_popcount(
		((const struct sockaddr_in *)ifa->ifa_netmask)->sin_addr.s_addr);
	return 0;
}

int interface_read(struct interface_list *list, struct err *err)
{
	struct ifaddrs *all;
	if (getifaddrs(&all) < 0)
		return err_sys(err, "cannot list the network interfaces");
	int r = 0;
	for (const struct ifaddrs *ifa = all; ifa != NULL && r == 0; ifa = ifa->ifa_next)
		r = add(list, ifa, err);
	freeifaddrs(all);
	return r;
}

static int choose_named(
	const struct interface_list *list, const char *name, struct interface *ret, struct err *err)
{
	const struct interface *found = NULL;
	VEC_FOREACH(i, list)
		if (strcmp(i->name, name) == 0)
			found = i;
	if (found == NULL) {
		err_raise(err, ERR_NOT_FOUND, "there is no network interface '%s'", name);
		return err_hint(err, "'ip link' lists them");
	}
	if (!found->has_addr) {
		err_raise(err, ERR_NOT_FOUND, "network interface '%s' has no IPv4 address", name);
		return err_hint(err, "give it one, as in 'ip addr add 10.55.0.1/24 dev %s'", name);
	}
	if (!found->up) {
		err_raise(err, ERR_NOT_FOUND, "network interface '%s' is down", name);
		return err_hint(err, "'ip link set %s up'", name);
	}
	*ret = *found;
	return 0;
}

int interface_choose(
	const struct interface_list *list, const char *name, struct interface *ret, struct err *err)
{
	if (name != NULL)
		return choose_named(list, name, ret, err);
	AUTO_BUF names = {0};
	const struct interface *only = NULL;
	size_t count = 0;
	VEC_FOREACH(i, list) {
		char addr[INET_ADDRSTRLEN];
		if (i->loopback || !i->up || !i->has_addr)
			continue;
		inet_ntop(AF_INET, &i->addr, addr, sizeof(addr));
		if (buf_printf(&names, err, "%s'%s' (%s)", count > 0 ? ", " : "", i->name, addr) <
			0)
			return -1;
		only = i;
		count++;
	}
	if (count == 0) {
		err_raise(err, ERR_NOT_FOUND,
			"no network interface but loopback is up and has an IPv4 address");
		return err_hint(err, "name the one that clients are on with --interface IF");
	}
	if (count > 1) {
		err_raise(err, ERR_USAGE, "several network interfaces have an address: %s",
			buf_str(&names, err));
		return err_hint(err, "name the one that clients are on with --interface IF");
	}
	*ret = *only;
	return 0;
}

struct in_addr interface_netmask(const struct interface *interface)
{
	uint32_t mask = interface->prefix == 0 ? 0 : UINT32_MAX << (32 - interface->prefix);
	return (struct in_addr){htonl(mask)};
}

struct in_addr interface_network(const struct interface *interface)
{
	return (struct in_addr){interface->addr.s_addr & interface_netmask(interface).s_addr};
}

struct in_addr interface_broadcast(const struct interface *interface)
{
	return (struct in_addr){interface->addr.s_addr | ~interface_netmask(interface).s_addr};
}
