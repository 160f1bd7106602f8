/* SPDX-License-Identifier: MIT */
/*
 * A server of the HTTP client: behind one byte that chooses what is asked for and what the caller
 * does, the input is what the newest connection gets, in pieces that end with a byte 0xfe; at 0xff
 * it is closed. Whatever comes, each request ends once, and a body that came whole is as long as
 * its head said. Nothing leaves the process: sockets are pairs, and no name resolves.
 */
#include "target.h"

#include "http/client.h"

#include "base/fd.h"

#include <event2/dns.h>
#include <event2/event.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS 64u
#define GETS 3u
#define PIECE_MAX 4096u
#define PIECE_END 0xfe
#define CLOSES 0xff

/* The input's first byte. */
enum {
	RANGE = 1,
	CANCEL_AT_HEAD = 2,
	CANCEL_AT_BODY = 4,
	REFUSE_HEAD = 8,
	REFUSE_BODY = 16,
	CANCEL_OTHER = 32,
	FREE_CLIENT = 64,
};

struct one {
	struct http_get *get; /* NULL: it ended */
	uint64_t got;
	struct http_answer answer;
	bool answered;
};

static int servers[CONNECTIONS]; /* the other ends of the client's sockets; -1: closed */
static unsigned servers_len;
static struct http_client *client;
static struct one ones[GETS];
static unsigned choice;
static bool whole;

int __wrap_socket(int domain, int type, int protocol);
int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len);
struct evdns_getaddrinfo_request *__wrap_evdns_getaddrinfo(struct evdns_base *base,
	const char *host, const char *port, const struct evutil_addrinfo *hints,
	evdns_getaddrinfo_cb callback, void *data);

int __wrap_socket(int domain, int type, int protocol)
{
	int fds[2];
	(void)domain;
	(void)protocol;
	expect(servers_len < CONNECTIONS);
	expect(socketpair(AF_UNIX, type, 0, fds) == 0);
	servers[servers_len++] = fds[1];
	return fds[0];
}

int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	(void)fd;
	expect(len <= sizeof(struct sockaddr_storage) &&
		(addr->sa_family == AF_INET || addr->sa_family == AF_INET6));
	return 0;
}

struct evdns_getaddrinfo_request *__wrap_evdns_getaddrinfo(struct evdns_base *base,
	const char *host, const char *port, const struct evutil_addrinfo *hints,
	evdns_getaddrinfo_cb callback, void *data)
{
	(void)base;
	(void)hints;
	expect(host[0] != '\0' && port[0] != '\0');
	callback(EVUTIL_EAI_NONAME, NULL, data);
	return NULL;
}

/* Whether the request goes on. */
static bool choose(struct http_get *get, struct one *one, unsigned cancel)
{
	if (choice & CANCEL_OTHER && one != &ones[1] && ones[1].get != NULL) {
		http_get_cancel(ones[1].get);
		ones[1].get = NULL;
	}
	if (!(choice & cancel))
		return true;
	one->get = NULL;
	http_get_cancel(get);
	return false;
}

static int on_head(
	struct http_get *get, const struct http_answer *answer, void *data, struct err *err)
{
	struct one *one = data;
	expect(one->get == get && !one->answered);
	expect(answer->status >= 200 && answer->status <= 999);
	one->answer = *answer;
	one->answered = true;
	if (answer->status == 206)
		expect(answer->off == 3 && answer->len <= 5);
	if (choice & REFUSE_HEAD)
		return err_raise(err, ERR_LIMIT, "refused");
	(void)choose(get, one, CANCEL_AT_HEAD);
	return 0;
}

static int on_body(struct http_get *get, const void *bytes, size_t len, void *data, struct err *err)
{
	struct one *one = data;
	expect(one->get == get && one->answered && len > 0 && bytes != NULL);
	one->got += len;
	expect(one->got <= one->answer.len);
	if (choice & REFUSE_BODY)
		return err_raise(err, ERR_LIMIT, "refused");
	(void)choose(get, one, CANCEL_AT_BODY);
	return 0;
}

static void on_done(struct http_get *get, const struct err *failure, void *data)
{
	struct one *one = data;
	expect(one->get == get);
	one->get = NULL;
	if (failure != NULL) {
		expect(failure->msg[0] != '\0');
	} else {
		expect(one->answered);
		expect(one->answer.len == UINT64_MAX || one->got == one->answer.len);
		whole = true;
	}
	if (choice & FREE_CLIENT && client != NULL) {
		client = http_client_free(client);
		memset(ones, 0, sizeof(ones)); /* without a `done` */
	}
}

static const struct http_get_ops ops = {on_head, on_body, on_done};

static void begin(struct one *one, const char *url, uint64_t off, uint64_t len)
{
	struct err err = ERR_INIT;
	const struct http_get_params params = {
		.url = url, .off = off, .len = len, .urgent = off > 0, .if_none_match = "\"e\""};
	expect(http_client_get(client, &params, &ops, one, &one->get, &err) == 0);
}

/* What the client says is dropped. */
static void turn(struct event_base *base)
{
	char drop[4096];
	for (int i = 0; i < 3; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	for (unsigned i = 0; i < servers_len; i++)
		while (servers[i] >= 0 && recv(servers[i], drop, sizeof(drop), MSG_DONTWAIT) > 0)
			;
}

static size_t feed(const uint8_t *data, size_t size)
{
	size_t len = 0;
	while (len < size && len < PIECE_MAX && data[len] < PIECE_END)
		len++;
	int *fd = servers_len > 0 ? &servers[servers_len - 1] : NULL;
	if (fd != NULL && *fd >= 0) {
		(void)send(
			*fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT); /* who left hears nothing */
		if (len < size && data[len] == CLOSES)
			fd_close_ptr(fd);
	}
	return len + (len < size && data[len] >= PIECE_END);
}

/* True when a body came whole. */
bool target_run(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct event_base *base = event_base_new();
	struct http_client_limits limits = HTTP_CLIENT_LIMITS_DEFAULT;
	limits.per_host = 1;
	servers_len = 0;
	whole = false;
	choice = size > 0 ? data[0] : 0;
	memset(ones, 0, sizeof(ones));
	expect(base != NULL && http_client_new(base, &limits, &client, &err) == 0);
	bool range = choice & RANGE;
	for (unsigned i = 0; i < GETS; i++)
		begin(&ones[i], "http://192.0.2.1/a/b?c", range ? 3 : 0, range ? 5 : 0);
	turn(base);
	for (size_t i = 1; i < size && servers_len < CONNECTIONS / 2;) {
		i += feed(data + i, size - i);
		turn(base);
	}
	bool runs = true;
	for (unsigned i = 0; i < CONNECTIONS && runs; i++) {
		for (unsigned j = 0; j < servers_len; j++)
			fd_close_ptr(&servers[j]);
		turn(base);
		runs = false;
		for (unsigned j = 0; j < GETS; j++)
			runs |= ones[j].get != NULL;
	}
	expect(!runs);
	client = http_client_free(client);
	turn(base); /* what was resolved for nobody */
	event_base_free(base);
	for (unsigned j = 0; j < servers_len; j++)
		fd_close_ptr(&servers[j]);
	return whole;
}
