/* SPDX-License-Identifier: MIT */
/*
 * The port that requests come to: who gets an exchange, and who makes place. An exchange has a
 * socket of its own and looks after itself (exchange.c).
 *
 * A request proves nothing: its address may be another's. So nothing but one small packet goes out,
 * and is repeated a few times, before the client has acknowledged something; and when all places
 * are taken, those who never did make place first.
 */
#include "tftp/server.h"

#include "base/fd.h"
#include "base/log.h"
#include "tftp/exchange.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define TURN_REQUESTS 32 /* what one turn of the loop takes from the port */
/* Silence after which a transfer may make place for a new one. */
#define STALE_US ((uint64_t)10 * 1000000)
#define STALE_UNHEARD_US ((uint64_t)2 * 1000000)
#define SAY_AGAIN_US ((uint64_t)60 * 1000000)

struct tftp_server {
	struct event_base *base;
	struct tftp_server_config config;
	int fd;
	struct event *readable;
	struct tftp_exchanges exchanges; /* the oldest first */
	unsigned count;
	uint64_t said_us; /* when it was said last that all places are taken; 0: never */
	void (*drained)(void *data);
	void *drained_data;
};

struct event_base *tftp_server_base(const struct tftp_server *server)
{
	return server->base;
}

const struct tftp_server_config *tftp_server_config(const struct tftp_server *server)
{
	return &server->config;
}

unsigned tftp_server_clients(const struct tftp_server *server)
{
	return server->count;
}

void tftp_server_forget(struct tftp_server *server, struct tftp_exchange *exchange)
{
	TAILQ_REMOVE(&server->exchanges, exchange, entry);
	server->count--;
	if (server->count == 0 && server->drained != NULL) {
		void (*drained)(void *) = server->drained;
		server->drained = NULL;
		drained(server->drained_data);
	}
}

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	const struct sockaddr_in6 *a6 = (const struct sockaddr_in6 *)a,
				  *b6 = (const struct sockaddr_in6 *)b;
	if (a->ss_family == AF_INET)
		return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
			((const struct sockaddr_in *)b)->sin_addr.s_addr;
	return IN6_ARE_ADDR_EQUAL(&a6->sin6_addr, &b6->sin6_addr) &&
		a6->sin6_scope_id == b6->sin6_scope_id;
}

static in_port_t port_of(const struct sockaddr_storage *addr)
{
	return addr->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)addr)->sin6_port
					   : ((const struct sockaddr_in *)addr)->sin_port;
}

/* The exchange with this very client and port. */
static struct tftp_exchange *find(struct tftp_server *server, const struct sockaddr_storage *client)
{
	struct tftp_exchange *x;
	TAILQ_FOREACH(x, &server->exchanges, entry)
		if (port_of(&x->client) == port_of(client) && same_address(&x->client, client))
			return x;
	return NULL;
}

/* One address has its share: its oldest exchange goes, which a client that began anew left over. */
static void make_place_of(struct tftp_server *server, const struct sockaddr_storage *client)
{
	struct tftp_exchange *x, *oldest = NULL;
	unsigned count = 0;
	TAILQ_FOREACH(x, &server->exchanges, entry) {
		if (!same_address(&x->client, client))
			continue;
		count++;
		oldest = oldest != NULL ? oldest : x;
	}
	if (count >= server->config.limits.per_client)
		tftp_exchange_cut(oldest, "the client began too many others");
}

/* False when all places are taken by transfers that run. */
static bool make_place(struct tftp_server *server)
{
	if (server->count < server->config.limits.transfers)
		return true;
	uint64_t now_us = tftp_now_us();
	struct tftp_exchange *x, *stale = NULL;
	TAILQ_FOREACH(x, &server->exchanges, entry) {
		uint64_t silence_us = now_us - x->heard_us;
		bool answered = x->body != NULL;
		if (answered && silence_us > (x->heard ? STALE_US : STALE_UNHEARD_US) &&
			(stale == NULL || (stale->heard && !x->heard)))
			stale = x;
	}
	if (stale != NULL) {
		tftp_exchange_cut(stale, "the client does not answer, and others wait");
		return true;
	}
	if (server->said_us == 0 || now_us - server->said_us > SAY_AGAIN_US) {
		log_warning("%u TFTP transfers run, more clients have to ask again", server->count);
		server->said_us = now_us;
	}
	return false;
}

static void begin(struct tftp_server *server, const struct tftp_way *way,
	const struct tftp_request *request, struct err *malformed)
{
	struct err err = ERR_INIT;
	struct tftp_exchange *x = NULL;
	make_place_of(server, &way->client);
	if (!make_place(server))
		return;
	if (tftp_exchange_new(server, way, request, &x, &err) < 0) {
		log_warning("TFTP: %s, ignoring", err.msg); /* the client asks again */
		return;
	}
	TAILQ_INSERT_TAIL(&server->exchanges, x, entry);
	server->count++;
	if (!err_clean(malformed))
		tftp_exchange_refuse(x, TFTP_CODE_ILLEGAL, "%s", malformed->msg);
	else if (request->write)
		tftp_exchange_refuse(x, TFTP_CODE_ACCESS, "nothing can be written here");
	else if (request->mode != TFTP_MODE_OCTET)
		tftp_exchange_refuse(x, TFTP_CODE_ILLEGAL,
			"files are sent as they are: ask in binary mode (octet)");
	else if (tftp_request_path(request, x->path, &err) < 0)
		tftp_exchange_refuse(x, TFTP_CODE_ACCESS, "%s", err.msg);
	else
		server->config.handle(x, server->config.data);
}

static void take(
	struct tftp_server *server, const struct tftp_way *way, const uint8_t *data, size_t len)
{
	struct err err = ERR_INIT;
	struct tftp_request request = {0};
	if (tftp_request_decode(data, len, &request, &err) == 0)
		return;
	struct tftp_exchange *old = find(server, &way->client);
	/* Our first packet was lost or is late: it is repeated anyway. */
	if (old != NULL && !old->heard && strcmp(old->request.name, request.name) == 0)
		return;
	if (old != NULL)
		tftp_exchange_cut(old, "the client asked anew");
	begin(server, way, &request, &err);
}

/* Where a packet was sent to; false for broadcasts, which RFC 1123 (4.2.3.4) leaves unanswered. */
static bool read_way(struct msghdr *message, struct tftp_way *way)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&way->own;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&way->own;
	way->len = message->msg_namelen;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			*in = (struct sockaddr_in){
				.sin_family = AF_INET, .sin_addr = info.ipi_addr};
			return info.ipi_addr.s_addr == info.ipi_spec_dst.s_addr;
		}
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			*in6 = (struct sockaddr_in6){
				.sin6_family = AF_INET6, .sin6_addr = info.ipi6_addr};
			if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
				in6->sin6_scope_id = info.ipi6_ifindex;
			return !IN6_IS_ADDR_MULTICAST(&info.ipi6_addr);
		}
	}
	return false;
}

static void on_readable(evutil_socket_t fd, short what, void *data)
{
	(void)what;
	struct tftp_server *server = data;
	uint8_t packet[1500];
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(struct in6_pktinfo)) * 2];
	} control;
	for (int i = 0; i < TURN_REQUESTS && server->fd >= 0; i++) {
		struct tftp_way way = {0};
		struct iovec part = {.iov_base = packet, .iov_len = sizeof(packet)};
		struct msghdr message = {
			.msg_name = &way.client,
			.msg_namelen = sizeof(way.client),
			.msg_iov = &part,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control),
		};
		ssize_t n = recvmsg(fd, &message, 0);
		if (n < 0)
			return; /* nothing more, or an error that the next packet does not have */
		if (read_way(&message, &way) && port_of(&way.client) != 0)
			take(server, &way, packet, (size_t)n);
	}
}

/* Names the address and the way out of what a user can get wrong. */
static int listen_failed(const struct sockaddr *addr, struct err *err)
{
	int errnum = errno;
	char host[INET6_ADDRSTRLEN];
	struct sockaddr_storage storage = {0};
	bool six = addr->sa_family == AF_INET6;
	memcpy(&storage, addr, six ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
	tftp_address_text(&storage, host);
	err_errno(err, errnum, "cannot serve TFTP at '%s', UDP port %u", host,
		ntohs(port_of(&storage)));
	if (errnum == EADDRINUSE) {
		err->kind = ERR_AGAIN;
		return err_hint(
			err, "another TFTP server has this port ('ss -lunp' names it): stop it");
	}
	if (errnum == EADDRNOTAVAIL) {
		err->kind = ERR_NOT_FOUND;
		return err_hint(err,
			"no interface of this machine has this address ('ip addr' "
			"lists them)");
	}
	if (errnum == EACCES)
		return err_hint(err, "run as root (or with CAP_NET_BIND_SERVICE)");
	return -1;
}

static int open_port(
	struct tftp_server *server, const struct sockaddr *addr, socklen_t len, struct err *err)
{
	const int on = 1, off = 0;
	bool six = addr->sa_family == AF_INET6;
	server->fd = socket(addr->sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server->fd < 0)
		return err_sys(err, "cannot create a socket");
	int r = six ? setsockopt(server->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on))
		    : setsockopt(server->fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	if (r == 0 && six) /* any address of IPv6 is any of IPv4, too */
		r = setsockopt(server->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (r < 0)
		return err_sys(err, "cannot set up a socket");
	if (bind(server->fd, addr, len) < 0)
		return listen_failed(addr, err);
	server->readable =
		event_new(server->base, server->fd, EV_READ | EV_PERSIST, on_readable, server);
	if (server->readable == NULL || event_add(server->readable, NULL) < 0)
		return err_oom(err);
	return 0;
}

int tftp_server_new(struct event_base *base, const struct sockaddr *addr, socklen_t addr_len,
	const struct tftp_server_config *config, struct tftp_server **ret, struct err *err)
{
	struct tftp_server *server = calloc(1, sizeof(*server));
	if (server == NULL)
		return err_oom(err);
	server->base = base;
	server->config = *config;
	server->fd = -1;
	TAILQ_INIT(&server->exchanges);
	if (open_port(server, addr, addr_len, err) < 0) {
		tftp_server_free(server);
		return -1;
	}
	*ret = server;
	return 0;
}

static void close_port(struct tftp_server *server)
{
	if (server->readable != NULL)
		event_free(server->readable);
	server->readable = NULL;
	fd_close_ptr(&server->fd);
}

struct tftp_server *tftp_server_free(struct tftp_server *server)
{
	if (server == NULL)
		return NULL;
	close_port(server);
	server->drained = NULL;
	for (struct tftp_exchange *x; (x = TAILQ_FIRST(&server->exchanges)) != NULL;)
		tftp_exchange_cut(x, "the server ends");
	free(server);
	return NULL;
}

uint16_t tftp_server_port(const struct tftp_server *server)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	if (getsockname(server->fd, (struct sockaddr *)&addr, &len) < 0)
		return 0;
	return ntohs(port_of(&addr));
}

void tftp_server_drain(struct tftp_server *server, void (*drained)(void *data), void *data)
{
	close_port(server);
	if (server->count == 0) {
		drained(data);
		return;
	}
	server->drained = drained;
	server->drained_data = data;
}
