/* SPDX-License-Identifier: MIT */
/*
 * Two questions to the kernel: by which interface an address is reached, and who that is there. A
 * reading of /proc/net/arp costs milliseconds when the table is large, once per request.
 *
 * rtnetlink(7); RTM_GETNEIGH for one address is answered since Linux 5.0 (net/core/neighbour.c).
 */
#include "serve/neighbour.h"

#include "base/fd.h"

#include <arpa/inet.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define HARDWARE_SIZE 6 /* Ethernet and what looks like it */

struct address {
	uint8_t family, len;
	uint8_t bytes[16];
};

struct question {
	struct nlmsghdr head;
	union {
		struct rtmsg route;
		struct ndmsg neighbour;
	} body;
	uint8_t room[RTA_LENGTH(16)];
};

static bool parse(const char *text, struct address *ret)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	if (inet_pton(AF_INET, text, ret->bytes) == 1) {
		ret->family = AF_INET;
		ret->len = 4;
		return true;
	}
	if (inet_pton(AF_INET6, text, ret->bytes) != 1)
		return false;
	ret->family = AF_INET6;
	ret->len = 16;
	if (memcmp(ret->bytes, mapped, sizeof(mapped)) == 0) {
		memmove(ret->bytes, ret->bytes + sizeof(mapped), 4);
		ret->family = AF_INET;
		ret->len = 4;
	}
	return true;
}

/* Puts the address behind the body of `body_len` bytes, as the attribute `type`. */
static void put_address(
	struct question *q, size_t body_len, uint16_t type, const struct address *address)
{
	struct rtattr *attribute = (struct rtattr *)((uint8_t *)&q->body + NLMSG_ALIGN(body_len));
	attribute->rta_type = type;
	attribute->rta_len = (uint16_t)RTA_LENGTH(address->len);
	memcpy(RTA_DATA(attribute), address->bytes, address->len);
	q->head.nlmsg_flags = NLM_F_REQUEST;
	q->head.nlmsg_len =
		(uint32_t)(NLMSG_LENGTH(NLMSG_ALIGN(body_len)) + RTA_ALIGN(attribute->rta_len));
}

/* False when there is no answer, or a failure. */
static bool ask(int fd, const struct question *q, void *answer, size_t size)
{
	if (send(fd, q, q->head.nlmsg_len, 0) < 0)
		return false;
	ssize_t len = recv(fd, answer, size, MSG_DONTWAIT); /* the kernel answers within send() */
	const struct nlmsghdr *head = answer;
	return len > 0 && NLMSG_OK(head, (size_t)len) && head->nlmsg_type != NLMSG_ERROR;
}

/* The attribute of an answer whose fixed part has `fixed` bytes, at least as long as `min`. */
static const void *find(const struct nlmsghdr *head, size_t fixed, uint16_t type, size_t min)
{
	size_t at = NLMSG_LENGTH(NLMSG_ALIGN(fixed));
	while (at + sizeof(struct rtattr) <= head->nlmsg_len) {
		const struct rtattr *a = (const struct rtattr *)((const uint8_t *)head + at);
		if (a->rta_len < sizeof(*a) || a->rta_len > head->nlmsg_len - at)
			break;
		if (a->rta_type == type)
			return a->rta_len >= RTA_LENGTH(min) ? RTA_DATA(a) : NULL;
		at += RTA_ALIGN(a->rta_len);
	}
	return NULL;
}

/* The interface that the address is a neighbour at; 0: none. */
static uint32_t find_interface(int fd, const struct address *address)
{
	_Alignas(struct nlmsghdr) uint8_t answer[2048];
	const struct nlmsghdr *head = (const struct nlmsghdr *)answer;
	struct question q = {.head.nlmsg_type = RTM_GETROUTE,
		.body.route = {.rtm_family = address->family,
			.rtm_dst_len = (unsigned char)(address->len * 8)}};
	put_address(&q, sizeof(q.body.route), RTA_DST, address);
	if (!ask(fd, &q, answer, sizeof(answer)))
		return 0;
	const struct rtmsg *route = NLMSG_DATA(head);
	const uint32_t *interface = find(head, sizeof(*route), RTA_OIF, sizeof(uint32_t));
	bool direct = route->rtm_type == RTN_UNICAST &&
		find(head, sizeof(*route), RTA_GATEWAY, 4) == NULL &&
		find(head, sizeof(*route), RTA_VIA, 4) == NULL;
	return direct && interface != NULL ? *interface : 0;
}

bool neighbour_find(const char *text, char mac[18])
{
	_Alignas(struct nlmsghdr) uint8_t answer[2048];
	const struct nlmsghdr *head = (const struct nlmsghdr *)answer;
	struct address address;
	if (!parse(text, &address))
		return false;
	AUTO_FD int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	uint32_t interface = fd >= 0 ? find_interface(fd, &address) : 0;
	struct question q = {.head.nlmsg_type = RTM_GETNEIGH,
		.body.neighbour = {.ndm_family = address.family, .ndm_ifindex = (int)interface}};
	put_address(&q, sizeof(q.body.neighbour), NDA_DST, &address);
	if (interface == 0 || !ask(fd, &q, answer, sizeof(answer)))
		return false;
	const uint8_t *hw = find(head, sizeof(struct ndmsg), NDA_LLADDR, HARDWARE_SIZE);
	static const uint8_t none[HARDWARE_SIZE];
	if (hw == NULL || memcmp(hw, none, sizeof(none)) == 0)
		return false;
	snprintf(
		mac, 18, "%02x:%02x:%02x:%02x:%02x:%02x", hw[0], hw[1], hw[2], hw[3], hw[4], hw[5]);
	return true;
}
