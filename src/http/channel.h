/* SPDX-License-Identifier: MIT */
#ifndef HTTP_CHANNEL_H
#define HTTP_CHANNEL_H

/* What client.c and channel.c share, and nobody else needs: hosts, requests, connections. */

#include "base/buf.h"
#include "http/answer.h"
#include "http/chunked.h"
#include "http/client.h"
#include "http/url.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/queue.h>
#include <sys/socket.h>

#define HTTP_ADDRESSES_MAX 8      /* of one name */
#define HTTP_SCRATCH (64u * 1024) /* bytes read at once */

struct http_host;
struct http_channel;
TAILQ_HEAD(http_gets, http_get);
TAILQ_HEAD(http_channels, http_channel);
TAILQ_HEAD(http_hosts, http_host);

/* One request, from http_client_get() to its end. */
struct http_get {
	TAILQ_ENTRY(http_get) entry; /* of its host's queue, while channel is NULL */
	struct http_client *client;
	struct http_host *host;
	struct http_channel *channel; /* that has it in hand */
	struct http_url url;          /* where it leads by now */
	char *name;                   /* the URL as it was given, for messages */
	char *if_none_match;
	uint64_t off, len;
	bool urgent, retried, ended;
	unsigned first_byte_ms, redirects;
	uint64_t ticket; /* grows with each that is queued */
	const struct http_get_ops *ops;
	void *data;
};

struct http_address {
	struct sockaddr_storage addr;
	socklen_t len;
};

/* One host and port: its addresses, its connections, and who waits for one. */
struct http_host {
	TAILQ_ENTRY(http_host) entry;
	struct http_client *client;
	char *name;
	uint16_t port;
	struct http_address addresses[HTTP_ADDRESSES_MAX];
	unsigned address_count; /* 0: not resolved */
	int64_t resolved_s;     /* CLOCK_BOOTTIME; numeric ones never age */
	bool numeric;
	struct http_lookup *lookup; /* under way, or NULL */
	int lookup_error;       /* EVUTIL_EAI_… of the last one, for requests up to the ticket */
	uint64_t failed_ticket; /* 0: none */
	struct event *kick;     /* gets to the queue from the loop */
	struct http_gets urgent, others;
	struct http_channels channels;
	unsigned channel_count;
};

enum http_channel_state {
	HTTP_CHANNEL_CONNECTING,
	HTTP_CHANNEL_SENDING,
	HTTP_CHANNEL_HEAD,
	HTTP_CHANNEL_BODY,
	HTTP_CHANNEL_IDLE,
};

/* One connection. */
struct http_channel {
	TAILQ_ENTRY(http_channel) entry;
	struct http_host *host;
	enum http_channel_state state;
	int fd; /* -1: no address could be tried */
	struct event readable, writable, deadline;
	bool watched;           /* readable and writable are set up */
	bool handling;          /* one of its callbacks runs: free it afterwards */
	bool dead;              /* to be freed then */
	unsigned address;       /* index of the one that is tried */
	int connect_error;      /* errno of the last that was */
	unsigned answers;       /* that came in full */
	unsigned informational; /* heads before the one that counts */
	struct http_get *get;   /* in hand, or NULL */
	struct buf out;
	size_t out_sent;
	struct http_answer_head head;
	struct http_chunked chunked;
	uint64_t body_got; /* bytes of content */
	size_t in_len;
	char in[HTTP_HEAD_MAX];
};

/* Connects for `get`, which is in its hand from now on. ERR_NOMEM. */
int http_channel_new(struct http_host *host, struct http_get *get, struct err *err);
/* Sends a request over an idle connection. */
void http_channel_use(struct http_channel *channel, struct http_get *get);
/* Closes it; the request in its hand is the caller's affair. */
void http_channel_free(struct http_channel *channel);

/* Between channel.c and delivery.c. */
void http_channel_deadline(struct http_channel *channel, unsigned ms);
/* Takes the request out of the connection's hand. */
struct http_get *http_channel_let_go(struct http_channel *channel);
/* Ends connection and request with a failure. */
void http_channel_fail(struct http_channel *channel, struct err *err);
/* The connection broke by `errnum`, or with 0 by the server's closing: tried again, or failed. */
void http_channel_broken(struct http_channel *channel, int errnum);
/* The answer is whole; the connection is kept when it is `clean` and nothing speaks against it. */
void http_channel_complete(struct http_channel *channel, bool clean);
/* Looks for a head in what was read, and goes on with what follows it. */
void http_channel_take_head(struct http_channel *channel);
/* Bytes that came after the head. */
void http_channel_take_body(struct http_channel *channel, const uint8_t *data, size_t len);

/* What client.c is for both. */
uint8_t *http_client_scratch(struct http_client *client);
const struct http_client_limits *http_client_limits(const struct http_client *client);
/* Puts a request (in nobody's hand) to its host's queue: at its front when it is tried again. */
void http_client_queue(struct http_get *get, bool front);
/* Lets those that wait have what is free; drops a host that nobody needs. */
void http_client_dispatch(struct http_host *host);
/* Aims the request at another URL, whose host is made when there is none. */
int http_client_aim(struct http_get *get, struct http_url *take_url, struct err *err);
/* Ends the request, which is in nobody's hand: the last thing that a caller does. */
void http_client_finish(struct http_get *get, struct err *failure);

#endif
