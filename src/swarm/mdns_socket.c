/* SPDX-License-Identifier: MIT */
/*
 * Two sockets, one a family, that share the port with other responders of this machine. Which
 * interface a packet came by, and goes out by, stands in control messages.
 */
#include "swarm/mdns_socket.h"

#include "base/fd.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define PORT 5353
#define GROUP4 0xe00000fbu /* 224.0.0.251 */

static const struct in6_addr group6 = {{{0xff, 0x02, [15] = 0xfb}}};

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

static int open4(void)
{
	AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	if (fd < 0 || set(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 ||
		set(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0 ||
		set(fd, IPPROTO_IP, IP_PKTINFO, 1) < 0 ||
		set(fd, IPPROTO_IP, IP_MULTICAST_TTL, 255) < 0 ||
		set(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0) < 0 ||
		bind(fd, (const struct sockaddr *)&any, sizeof(any)) < 0)
		return -1;
	return TAKE_FD(fd);
}

static int open6(void)
{
	AUTO_FD int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
	if (fd < 0 || set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) < 0 ||
		set(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 ||
		set(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0 ||
		set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) < 0 ||
		set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 255) < 0 ||
		bind(fd, (const struct sockaddr *)&any, sizeof(any)) < 0)
		return -1;
	return TAKE_FD(fd);
}

int mdns_socket_open(struct mdns_socket *s, struct err *err)
{
	*s = (struct mdns_socket){.fd4 = open4(), .fd6 = -1};
	int errnum = errno;
	s->fd6 = open6();
	if (s->fd4 < 0 && s->fd6 < 0) {
		err_errno(err, errnum, "cannot listen for multicast DNS on port %d", PORT);
		if (errnum == EADDRINUSE)
			err->kind = ERR_AGAIN;
		return -1;
	}
	(void)mdns_socket_rescan(s);
	return 0;
}

void mdns_socket_close(struct mdns_socket *s)
{
	fd_close_ptr(&s->fd4);
	fd_close_ptr(&s->fd6);
	s->fd4 = s->fd6 = -1;
}

static struct mdns_interface *interface_of(
	struct mdns_interface *list, unsigned *count, unsigned index)
{
	for (unsigned i = 0; i < *count; i++)
		if (list[i].index == index)
			return &list[i];
	if (*count == MDNS_INTERFACES_MAX)
		return NULL;
	list[*count] = (struct mdns_interface){.index = index};
	return &list[(*count)++];
}

static void take_address(struct mdns_interface *i, const struct sockaddr *addr)
{
	uint8_t *ip = i->ips[i->ip_count];
	if (i->ip_count == MDNS_INTERFACE_IPS_MAX)
		return;
	if (addr->sa_family == AF_INET) {
		ip[10] = ip[11] = 0xff;
		memcpy(ip + 12, &((const struct sockaddr_in *)addr)->sin_addr, 4);
		i->ip_count++;
	} else if (addr->sa_family == AF_INET6) {
		const struct in6_addr *in6 = &((const struct sockaddr_in6 *)addr)->sin6_addr;
		if (IN6_IS_ADDR_LINKLOCAL(in6))
			return; /* means nothing in a record */
		memcpy(ip, in6, 16);
		i->ip_count++;
	}
}

/* Joining again fails harmlessly. An interface that went took its membership along. */
static void join_groups(const struct mdns_socket *s, unsigned index)
{
	const struct ip_mreqn m4 = {
		.imr_multiaddr.s_addr = htonl(GROUP4), .imr_ifindex = (int)index};
	const struct ipv6_mreq m6 = {.ipv6mr_multiaddr = group6, .ipv6mr_interface = index};
	if (s->fd4 >= 0)
		(void)setsockopt(s->fd4, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m4, sizeof(m4));
	if (s->fd6 >= 0)
		(void)setsockopt(s->fd6, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &m6, sizeof(m6));
}

bool mdns_socket_rescan(struct mdns_socket *s)
{
	struct mdns_interface list[MDNS_INTERFACES_MAX] = {0};
	unsigned count = 0;
	struct ifaddrs *all;
	const unsigned needed = IFF_UP | IFF_RUNNING | IFF_MULTICAST;
	if (getifaddrs(&all) < 0)
		return false; /* by want of memory: what was known holds */
	for (const struct ifaddrs *a = all; a != NULL; a = a->ifa_next) {
		if ((a->ifa_flags & needed) != needed || (a->ifa_flags & IFF_LOOPBACK) != 0 ||
			a->ifa_addr == NULL)
			continue;
		unsigned index = if_nametoindex(a->ifa_name);
		struct mdns_interface *i = index != 0 ? interface_of(list, &count, index) : NULL;
		if (i != NULL)
			take_address(i, a->ifa_addr);
	}
	freeifaddrs(all);
	for (unsigned i = 0; i < count; i++)
		join_groups(s, list[i].index);
	bool changed =
		count != s->count || memcmp(list, s->interfaces, count * sizeof(list[0])) != 0;
	memcpy(s->interfaces, list, sizeof(list));
	s->count = count;
	return changed;
}

/* A control message that names the interface; its size. */
static size_t put_interface(struct cmsghdr *cmsg, bool v4, unsigned index)
{
	if (v4) {
		const struct in_pktinfo info = {.ipi_ifindex = (int)index};
		cmsg->cmsg_level = IPPROTO_IP;
		cmsg->cmsg_type = IP_PKTINFO;
		cmsg->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(cmsg), &info, sizeof(info));
		return CMSG_SPACE(sizeof(info));
	}
	const struct in6_pktinfo info = {.ipi6_ifindex = index};
	cmsg->cmsg_level = IPPROTO_IPV6;
	cmsg->cmsg_type = IPV6_PKTINFO;
	cmsg->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(cmsg), &info, sizeof(info));
	return CMSG_SPACE(sizeof(info));
}

/* Room for one control message, aligned. */
union control {
	struct cmsghdr header;
	uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

static void send_to(int fd, const struct sockaddr *addr, socklen_t addr_len, unsigned index,
	const struct iovec *iov)
{
	union control control = {0};
	struct msghdr msg = {.msg_name = (void *)addr,
		.msg_namelen = addr_len,
		.msg_iov = (struct iovec *)iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes};
	msg.msg_controllen = put_interface(&control.header, addr->sa_family == AF_INET, index);
	(void)sendmsg(fd, &msg, MSG_NOSIGNAL); /* multicast is said more than once anyway */
}

void mdns_socket_multicast(
	const struct mdns_socket *s, unsigned index, const void *data, size_t len)
{
	const struct sockaddr_in to4 = {
		.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(GROUP4)};
	const struct sockaddr_in6 to6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(PORT), .sin6_addr = group6};
	const struct iovec iov = {(void *)data, len};
	if (s->fd4 >= 0)
		send_to(s->fd4, (const struct sockaddr *)&to4, sizeof(to4), index, &iov);
	if (s->fd6 >= 0)
		send_to(s->fd6, (const struct sockaddr *)&to6, sizeof(to6), index, &iov);
}

void mdns_socket_reply(int fd, const struct mdns_sender *sender, const void *data, size_t len)
{
	const struct iovec iov = {(void *)data, len};
	send_to(fd, (const struct sockaddr *)&sender->addr, sender->addr_len, sender->index, &iov);
}

/* True when the control messages say that it was sent to the group. */
static bool read_interface(struct msghdr *msg, unsigned *ret_index)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			*ret_index = (unsigned)info.ipi_ifindex;
			return info.ipi_addr.s_addr == htonl(GROUP4);
		}
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			*ret_index = info.ipi6_ifindex;
			return memcmp(&info.ipi6_addr, &group6, sizeof(group6)) == 0;
		}
	}
	return false;
}

static void read_sender(struct mdns_sender *s)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)&s->addr;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&s->addr;
	memset(s->ip, 0, sizeof(s->ip));
	if (s->addr.ss_family == AF_INET) {
		s->ip[10] = s->ip[11] = 0xff;
		memcpy(s->ip + 12, &in->sin_addr, 4);
		s->legacy = ntohs(in->sin_port) != PORT;
	} else {
		memcpy(s->ip, &in6->sin6_addr, 16);
		s->legacy = ntohs(in6->sin6_port) != PORT;
	}
}

int mdns_socket_receive(
	int fd, uint8_t *data, size_t size, size_t *ret_len, struct mdns_sender *ret)
{
	for (;;) {
		union control control;
		struct iovec iov = {data, size};
		struct msghdr msg = {.msg_name = &ret->addr,
			.msg_namelen = sizeof(ret->addr),
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control.bytes,
			.msg_controllen = sizeof(control.bytes)};
		ssize_t n = recvmsg(fd, &msg, 0);
		if (n < 0)
			return 0; /* nothing, or an error that belongs to a packet sent before */
		if ((msg.msg_flags & MSG_TRUNC) != 0 || !read_interface(&msg, &ret->index))
			continue;
		ret->addr_len = msg.msg_namelen;
		read_sender(ret);
		*ret_len = (size_t)n;
		return 1;
	}
}
