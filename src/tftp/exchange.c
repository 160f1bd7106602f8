/* SPDX-License-Identifier: MIT */
/* A transfer's socket, clock and turns; which packet goes out when is transfer.c's decision. */
#include "tftp/exchange.h"

#include "base/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*
 * Data of the largest block: what an Ethernet frame holds beside the heads of IPv4 (20) or IPv6
 * (40), UDP (8) and TFTP (4). Larger ones would come in fragments, which boot ROMs that ask for
 * them cannot put together.
 */
#define BLOCK_MAX_4 1468
#define BLOCK_MAX_6 1448

/* Bodies up to this size do not wait for a turn, as with HTTP. */
#define UNPACED_BYTES 4096

uint64_t tftp_now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void tftp_address_text(const struct sockaddr_storage *addr, char out[INET6_ADDRSTRLEN])
{
	const struct in6_addr *in6 = &((const struct sockaddr_in6 *)addr)->sin6_addr;
	if (addr->ss_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)addr)->sin_addr, out,
			INET6_ADDRSTRLEN);
	else if (IN6_IS_ADDR_V4MAPPED(in6))
		inet_ntop(AF_INET, &in6->s6_addr[12], out, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, in6, out, INET6_ADDRSTRLEN);
}

static struct pacer *pacer_of(const struct tftp_exchange *x)
{
	return tftp_server_config(x->server)->pacer;
}

static void destroy(struct tftp_exchange *x)
{
	struct event *events[] = {x->readable, x->writable, x->deadline};
	for (size_t i = 0; i < ARRAY_LEN(events); i++)
		if (events[i] != NULL)
			event_free(events[i]);
	tftp_reader_done(&x->reader);
	http_body_release(x->body);
	fd_close_ptr(&x->fd);
	free(x);
}

/* `failure`: NULL when the client has everything. */
static void finish(struct tftp_exchange *x, const char *failure)
{
	const struct tftp_server_config *config = tftp_server_config(x->server);
	struct tftp_outcome outcome = {
		.len = x->body != NULL ? x->body->size : 0,
		.sent = failure == NULL ? x->transfer.size : tftp_transfer_done(&x->transfer),
		.elapsed_us = tftp_now_us() - x->began_us,
		.failure = failure,
	};
	if (x->paced) {
		pacer_leave(pacer_of(x), &x->turns);
		pacer_return(pacer_of(x), x->allowance);
	}
	config->done(x, &outcome, config->data);
	tftp_server_forget(x->server, x);
	destroy(x);
}

void tftp_exchange_cut(struct tftp_exchange *x, const char *failure)
{
	finish(x, failure);
}

void tftp_exchange_refuse(struct tftp_exchange *x, enum tftp_code code, const char *fmt, ...)
{
	uint8_t packet[TFTP_HEAD + TFTP_TEXT_MAX + 1];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(x->failure, sizeof(x->failure), fmt, ap);
	va_end(ap);
	size_t len = tftp_put_error(packet, code, x->failure);
	/* An error is not repeated: a client that misses it asks again. */
	(void)!send(x->fd, packet, len, MSG_NOSIGNAL);
	finish(x, x->failure);
}

static void set_deadline(struct tftp_exchange *x, uint64_t at_us)
{
	uint64_t now_us = tftp_now_us(), left = at_us > now_us ? at_us - now_us : 0;
	const struct timeval delay = {
		.tv_sec = (time_t)(left / 1000000), .tv_usec = (suseconds_t)(left % 1000000)};
	event_add(x->deadline, &delay);
}

static int put_due(struct tftp_exchange *x, const struct tftp_due *due, uint8_t *packet,
	size_t *ret_len, struct err *err)
{
	if (due->options) {
		*ret_len = tftp_put_options(packet, &x->transfer.options);
		return 0;
	}
	*ret_len = tftp_put_block(packet, due->number) + due->len;
	return tftp_reader_read(&x->reader, due->off, packet + TFTP_HEAD, due->len, err);
}

/* An error of the socket: an ICMP message says that nobody listens there any more. */
static void break_off(struct tftp_exchange *x, const struct err *err)
{
	bool left = err->sys == ECONNREFUSED;
	if (left && tftp_transfer_all_sent(&x->transfer)) {
		finish(x, NULL);
		return;
	}
	snprintf(x->failure, sizeof(x->failure), "%s", left ? "the client left" : err->msg);
	finish(x, x->failure);
}

static void pump(struct tftp_exchange *x)
{
	uint8_t packet[TFTP_HEAD + BLOCK_MAX_4];
	_Static_assert(sizeof(packet) >= TFTP_OPTIONS_MAX, "options have room");
	struct tftp_due due;
	while (tftp_transfer_due(&x->transfer, &due)) {
		struct err err = ERR_INIT;
		size_t len = 0;
		if (x->paced && x->allowance < due.len) {
			pacer_wait(pacer_of(x), &x->turns);
			break;
		}
		if (put_due(x, &due, packet, &len, &err) < 0) {
			tftp_exchange_refuse(x, TFTP_CODE_OTHER, "%s", err.msg);
			return;
		}
		ssize_t n = send(x->fd, packet, len, MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)) {
			event_add(x->writable, NULL);
			break;
		}
		if (n < 0) {
			err_sys(&err, "cannot send");
			break_off(x, &err);
			return;
		}
		if (x->paced)
			x->allowance -= due.len;
		tftp_transfer_sent(&x->transfer, tftp_now_us());
	}
	set_deadline(x, x->transfer.deadline_us);
}

static void on_turn(struct pacer_client *turns, uint32_t bytes)
{
	struct tftp_exchange *x =
		(struct tftp_exchange *)((char *)turns - offsetof(struct tftp_exchange, turns));
	x->allowance += bytes;
	pump(x);
}

static void on_writable(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	pump(data);
}

static void on_deadline(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	struct tftp_exchange *x = data;
	if (x->body == NULL) {
		tftp_exchange_refuse(x, TFTP_CODE_OTHER, "this takes too long: ask again");
		return;
	}
	tftp_transfer_tick(&x->transfer, tftp_now_us());
	if (x->transfer.state == TFTP_GONE)
		finish(x,
			tftp_transfer_all_sent(&x->transfer) ? NULL : "the client does not answer");
	else
		pump(x);
}

/* The client ends it. With 8 (and, by older ROMs, 0) it only wanted the options. */
static void take_error(struct tftp_exchange *x, const struct tftp_reply *reply)
{
	if (!x->heard && x->request.wants_size) {
		finish(x, "the client only asked for its size");
		return;
	}
	snprintf(x->failure, sizeof(x->failure), "the client broke it off: error %u%s%s",
		reply->number, reply->text[0] != '\0' ? ", " : "", reply->text);
	finish(x, x->failure);
}

/* Takes one packet: false when the exchange is over. */
static bool take(struct tftp_exchange *x, const uint8_t *data, size_t len)
{
	struct tftp_reply reply;
	if (!tftp_reply_decode(data, len, &reply))
		return true; /* garbage, or the request once more */
	x->heard_us = tftp_now_us();
	if (reply.opcode == TFTP_ERROR) {
		take_error(x, &reply);
		return false;
	}
	if (x->body == NULL)
		return true;
	x->heard = true;
	tftp_transfer_ack(&x->transfer, reply.number, x->heard_us);
	if (x->transfer.state != TFTP_ENDED)
		return true;
	finish(x, NULL);
	return false;
}

/* What one turn of the loop reads from one client. */
#define TURN_PACKETS 16

static void on_readable(evutil_socket_t fd, short what, void *data)
{
	(void)what;
	struct tftp_exchange *x = data;
	uint8_t packet[TFTP_HEAD + TFTP_TEXT_MAX]; /* the rest of an error's text is cut off */
	for (int i = 0; i < TURN_PACKETS; i++) {
		ssize_t n = recv(fd, packet, sizeof(packet), 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		struct err err = ERR_INIT;
		if (n < 0) {
			err_sys(&err, "cannot receive");
			break_off(x, &err);
			return;
		}
		if (!take(x, packet, (size_t)n))
			return;
	}
	if (x->body != NULL)
		pump(x);
}

static uint32_t block_max(const struct tftp_exchange *x)
{
	bool six = x->client.ss_family == AF_INET6;
	int mtu = 0, heads = six ? 52 : 32;
	uint32_t max = six ? BLOCK_MAX_6 : BLOCK_MAX_4;
	socklen_t len = sizeof(mtu);
	int r = six ? getsockopt(x->fd, IPPROTO_IPV6, IPV6_MTU, &mtu, &len)
		    : getsockopt(x->fd, IPPROTO_IP, IP_MTU, &mtu, &len);
	if (r < 0 || mtu < heads + 8)
		return TFTP_BLOCK_DEFAULT;
	return (uint32_t)(mtu - heads) < max ? (uint32_t)(mtu - heads) : max;
}

void tftp_exchange_reply(struct tftp_exchange *x, struct http_body *take_body)
{
	x->body = take_body;
	x->reader.body = take_body;
	tftp_transfer_init(&x->transfer, &x->request, take_body->size, block_max(x), tftp_now_us());
	if (pacer_of(x) != NULL && take_body->size > UNPACED_BYTES)
		x->paced = true;
	else if (pacer_of(x) != NULL)
		pacer_spend(pacer_of(x), take_body->size);
	pump(x);
}

static int open_socket(struct tftp_exchange *x, const struct tftp_way *way, struct err *err)
{
	int family = way->client.ss_family;
	x->fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (x->fd < 0)
		return err_sys(err, "cannot create a socket");
	/* Rather in fragments than not at all, when the way turns out to be narrow. */
	const int fragments = IP_PMTUDISC_DONT;
	if (family == AF_INET &&
		setsockopt(x->fd, IPPROTO_IP, IP_MTU_DISCOVER, &fragments, sizeof(fragments)) < 0)
		return err_sys(err, "cannot set up a socket");
	if (bind(x->fd, (const struct sockaddr *)&way->own, way->len) < 0 ||
		connect(x->fd, (const struct sockaddr *)&way->client, way->len) < 0)
		return err_sys(err, "cannot answer '%s' from '%s'", x->peer, x->own);
	return 0;
}

static int add_events(struct tftp_exchange *x, struct err *err)
{
	struct event_base *base = tftp_server_base(x->server);
	x->readable = event_new(base, x->fd, EV_READ | EV_PERSIST, on_readable, x);
	x->writable = event_new(base, x->fd, EV_WRITE, on_writable, x);
	x->deadline = event_new(base, -1, 0, on_deadline, x);
	if (x->readable == NULL || x->writable == NULL || x->deadline == NULL ||
		event_add(x->readable, NULL) < 0)
		return err_oom(err);
	set_deadline(
		x, x->began_us + (uint64_t)1000000 * tftp_server_config(x->server)->limits.wait_s);
	return 0;
}

int tftp_exchange_new(struct tftp_server *server, const struct tftp_way *way,
	const struct tftp_request *request, struct tftp_exchange **ret, struct err *err)
{
	struct tftp_exchange *x = calloc(1, sizeof(*x));
	if (x == NULL)
		return err_oom(err);
	x->server = server;
	x->fd = -1;
	x->client = way->client;
	x->request = *request;
	x->reader = TFTP_READER_INIT;
	x->began_us = x->heard_us = tftp_now_us();
	tftp_address_text(&way->client, x->peer);
	tftp_address_text(&way->own, x->own);
	pacer_client_init(&x->turns, (const struct sockaddr *)&x->client, on_turn);
	if (open_socket(x, way, err) < 0 || add_events(x, err) < 0) {
		destroy(x);
		return -1;
	}
	*ret = x;
	return 0;
}

const struct tftp_request *tftp_exchange_request(const struct tftp_exchange *x)
{
	return &x->request;
}

const char *tftp_exchange_path(const struct tftp_exchange *x)
{
	return x->path;
}

const char *tftp_exchange_peer(const struct tftp_exchange *x)
{
	return x->peer;
}

const char *tftp_exchange_own(const struct tftp_exchange *x)
{
	return x->own;
}

void tftp_exchange_progress(const struct tftp_exchange *x, uint64_t *ret_sent, uint64_t *ret_len)
{
	*ret_sent = x->body != NULL ? tftp_transfer_done(&x->transfer) : 0;
	*ret_len = x->body != NULL ? x->body->size : 0;
}

void tftp_exchange_set_tag(struct tftp_exchange *x, void *tag)
{
	x->tag = tag;
}

void *tftp_exchange_tag(const struct tftp_exchange *x)
{
	return x->tag;
}
