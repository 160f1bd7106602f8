/* SPDX-License-Identifier: MIT */
/* One raw socket: router solicitations in, the same sixteen bytes out. */
#include "serve/norouter.h"

#include "base/fd.h"

#include <event2/event.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

struct norouter {
	int fd;
	unsigned interface;
	struct event *event;
};

/* ff02::1 are all nodes of a link, ff02::2 all routers (RFC 4291, 2.7.1). */
static struct in6_addr link_group(uint8_t number)
{
	return (struct in6_addr){.s6_addr = {[0] = 0xff, [1] = 0x02, [15] = number}};
}

static void answer(const struct norouter *norouter)
{
	/* Hop limit unspecified, no flags, lifetime 0: not a router, and nothing else is known. */
	struct nd_router_advert advert = {.nd_ra_type = ND_ROUTER_ADVERT};
	struct sockaddr_in6 nodes = {.sin6_family = AF_INET6,
		.sin6_scope_id = norouter->interface,
		.sin6_addr = link_group(1)};
	/* Whoever asked asks again when this is lost. */
	(void)!sendto(
		norouter->fd, &advert, sizeof(advert), 0, (struct sockaddr *)&nodes, sizeof(nodes));
}

static void on_packet(evutil_socket_t fd, short what, void *data)
{
	(void)what;
	uint8_t packet[256];
	ssize_t len = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);
	if (len >= (ssize_t)sizeof(struct nd_router_solicit) && packet[0] == ND_ROUTER_SOLICIT)
		answer(data);
}

static int prepare(int fd, const char *interface, unsigned index, struct err *err)
{
	struct icmp6_filter filter;
	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ND_ROUTER_SOLICIT, &filter);
	/* Neighbour discovery is believed with hop limit 255 only (RFC 4861, 6.1.2). */
	int hops = 255;
	struct ipv6_mreq routers = {.ipv6mr_interface = index, .ipv6mr_multiaddr = link_group(2)};
	if (setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter)) < 0 ||
		setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface,
			(socklen_t)strlen(interface)) < 0 ||
		setsockopt(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &routers, sizeof(routers)) < 0)
		return err_sys(err, "cannot listen for IPv6 router solicitations");
	return 0;
}

int norouter_start(
	struct event_base *base, const char *interface, struct norouter **ret, struct err *err)
{
	AUTO_FD int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6);
	if (fd < 0)
		return err_sys(err, "cannot listen for IPv6 router solicitations");
	unsigned index = if_nametoindex(interface);
	if (prepare(fd, interface, index, err) < 0)
		return -1;
	struct norouter *norouter = calloc(1, sizeof(*norouter));
	if (norouter == NULL)
		return err_oom(err);
	*norouter = (struct norouter){.fd = TAKE_FD(fd), .interface = index};
	norouter->event = event_new(base, norouter->fd, EV_READ | EV_PERSIST, on_packet, norouter);
	if (norouter->event == NULL || event_add(norouter->event, NULL) < 0) {
		norouter_stop(norouter);
		return err_oom(err);
	}
	*ret = norouter;
	return 0;
}

struct norouter *norouter_stop(struct norouter *norouter)
{
	if (norouter == NULL)
		return NULL;
	if (norouter->event != NULL)
		event_free(norouter->event);
	fd_close_ptr(&norouter->fd);
	free(norouter);
	return NULL;
}
