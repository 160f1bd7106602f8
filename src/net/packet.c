/* SPDX-License-Identifier: MIT */
/* IPv4 and UDP by hand, as far as DHCP needs them: RFC 791, 768, 1071. */
#include "net/packet.h"

#include "base/bytes.h"
#include "base/fd.h"
#include "net/dhcp_message.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IP_SIZE 20
#define UDP_SIZE 8

/* On the packet from its IP header on: UDP, not a later fragment, to port 68. */
static int attach_filter(int fd, struct err *err)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 6),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 4, 0),
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, DHCP_CLIENT_PORT, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, PACKET_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog program = {.len = ARRAY_LEN(code), .filter = code};
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
		return err_sys(err, "cannot filter packets for DHCP");
	return 0;
}

int packet_open(int index, int *ret_fd, struct err *err)
{
	/* Protocol 0: nothing is heard before the filter is there and bind() says what. */
	AUTO_FD int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, "cannot open a socket for DHCP");
	const int on = 1;
	const struct sockaddr_ll address = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = index};
	if (attach_filter(fd, err) < 0)
		return -1;
	if (setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) < 0 ||
		bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return err_sys(err, "cannot listen for DHCP");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static uint32_t sum(uint32_t start, const uint8_t *p, size_t len)
{
	for (; len > 1; p += 2, len -= 2)
		start += get_be16(p);
	return len > 0 ? start + ((uint32_t)*p << 8) : start;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Over the addresses, the protocol, the length, and the packet: RFC 768. */
static uint16_t udp_sum(const uint8_t *ip, const uint8_t *udp, size_t len)
{
	return fold(sum(sum((uint32_t)(IPPROTO_UDP + len), ip + 12, 8), udp, len));
}

int packet_broadcast(
	int fd, int index, struct in_addr from, const void *data, size_t len, struct err *err)
{
	uint8_t packet[IP_SIZE + UDP_SIZE + DHCP_QUERY_MAX] = {0};
	uint8_t *udp = packet + IP_SIZE;
	if (len > DHCP_QUERY_MAX)
		return err_raise(err, ERR_BUG, "a DHCP query of %zu bytes", len);
	size_t udp_len = UDP_SIZE + len;
	packet[0] = 0x45; /* version 4, 5 words */
	put_be16(packet + 2, (uint16_t)(IP_SIZE + udp_len));
	packet[8] = 64; /* hops */
	packet[9] = IPPROTO_UDP;
	memcpy(packet + 12, &from, 4);
	memset(packet + 16, 0xff, 4);
	put_be16(packet + 10, fold(sum(0, packet, IP_SIZE)));
	put_be16(udp, DHCP_CLIENT_PORT);
	put_be16(udp + 2, DHCP_SERVER_PORT);
	put_be16(udp + 4, (uint16_t)udp_len);
	memcpy(udp + UDP_SIZE, data, len);
	uint16_t check = udp_sum(packet, udp, udp_len);
	put_be16(udp + 6, check != 0 ? check : 0xffff);

	struct sockaddr_ll to = {.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IP),
		.sll_ifindex = index,
		.sll_halen = 6};
	memset(to.sll_addr, 0xff, 6);
	if (sendto(fd, packet, IP_SIZE + udp_len, 0, (const struct sockaddr *)&to, sizeof(to)) < 0)
		return err_sys(err, "cannot send to DHCP servers");
	return 0;
}

int packet_unicast(const char *name, struct in_addr from, struct in_addr to, const void *data,
	size_t len, struct err *err)
{
	AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, "cannot open a socket for DHCP");
	const int on = 1;
	struct sockaddr_in source = {
		.sin_family = AF_INET, .sin_port = htons(DHCP_CLIENT_PORT), .sin_addr = from};
	const struct sockaddr_in server = {
		.sin_family = AF_INET, .sin_port = htons(DHCP_SERVER_PORT), .sin_addr = to};
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name)) < 0)
		return err_sys(err, "cannot send by '%s'", name);
	int r = bind(fd, (const struct sockaddr *)&source, sizeof(source));
	if (r < 0 && errno == EADDRINUSE) {
		/* A client of stage 2 has the port; servers answer to it whatever we send from. */
		source.sin_port = 0;
		r = bind(fd, (const struct sockaddr *)&source, sizeof(source));
	}
	if (r < 0 || sendto(fd, data, len, 0, (const struct sockaddr *)&server, sizeof(server)) < 0)
		return err_sys(err, "cannot send to the DHCP server");
	return 0;
}

bool packet_parse(const uint8_t *packet, size_t len, bool sums, struct packet_view *ret)
{
	if (len < IP_SIZE || packet[0] >> 4 != 4)
		return false;
	size_t head = (size_t)(packet[0] & 0xf) * 4, total = get_be16(packet + 2);
	if (head < IP_SIZE || total > len || total < head + UDP_SIZE || packet[9] != IPPROTO_UDP ||
		(get_be16(packet + 6) & 0x3fff) != 0 || fold(sum(0, packet, head)) != 0)
		return false;
	const uint8_t *udp = packet + head;
	size_t udp_len = get_be16(udp + 4);
	if (udp_len < UDP_SIZE || udp_len > total - head || get_be16(udp + 2) != DHCP_CLIENT_PORT)
		return false;
	if (sums && get_be16(udp + 6) != 0 && udp_sum(packet, udp, udp_len) != 0)
		return false;
	*ret = (struct packet_view){udp + UDP_SIZE, udp_len - UDP_SIZE};
	return true;
}

/* Between virtual cards of one machine nobody fills in checksums. */
static bool has_sums(struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
		struct tpacket_auxdata aux;
		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA ||
			c->cmsg_len < CMSG_LEN(sizeof(aux)))
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		return (aux.tp_status & TP_STATUS_CSUMNOTREADY) == 0;
	}
	return true;
}

int packet_receive(int fd, uint8_t buffer[static PACKET_MAX], const uint8_t **ret_data,
	size_t *ret_len, struct err *err)
{
	for (;;) {
		union {
			struct cmsghdr align;
			uint8_t bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
		} control;
		struct iovec iov = {buffer, PACKET_MAX};
		struct msghdr message = {.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(fd, &message, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		if (n < 0)
			return err_sys(err, "cannot hear DHCP servers");
		struct packet_view view;
		if (!packet_parse(buffer, (size_t)n, has_sums(&message), &view))
			continue;
		*ret_data = view.data;
		*ret_len = view.len;
		return 1;
	}
}
