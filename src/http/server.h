/* SPDX-License-Identifier: MIT */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

/*
 * An HTTP/1.1 server of bodies on one event loop. Bytes go from files to sockets by sendfile(), so
 * a client costs two descriptors, some KiB here and what the kernel keeps for its socket, whatever
 * the size of what it takes.
 */

#include "base/err.h"
#include "http/body.h"
#include "http/request.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct event_base;
struct http_server;
struct pacer;

/* One request and what is answered to it. Ends when its `done` was called. */
struct http_exchange;

/* How an exchange ended. */
struct http_outcome {
	int status;          /* what was answered; 0: the client left before */
	uint64_t len;        /* bytes of body that were to be sent */
	uint64_t sent;       /* bytes of body that the kernel took */
	uint64_t elapsed_us; /* from the request's last byte to the answer's */
	const char *failure; /* why the connection was cut, or NULL */
	bool handed_over;    /* to who upgrades or streams */
};

struct http_limits {
	unsigned clients; /* connections at once; more wait in the kernel's queue */
	unsigned head_ms; /* for a request's head, from its first byte, or the connection's begin */
	unsigned idle_ms; /* between requests */
	unsigned stall_ms; /* a client that takes less than stall_bytes in this time is cut */
	uint64_t stall_bytes;
	/* When every place is taken: whoever reads the slowest gives its own to the next client, if
	 * it took less than place_rate bytes a second over place_ms at least. */
	unsigned place_ms;
	uint64_t place_rate;
};

#define HTTP_LIMITS_DEFAULT \
	((struct http_limits){.clients = 1024, \
		.head_ms = 15000, \
		.idle_ms = 60000, \
		.stall_ms = 30000, \
		.stall_bytes = 4096, \
		.place_ms = 5000, \
		.place_rate = 4096})

struct http_server_config {
	struct http_limits limits;
	/*
	 * A GET or HEAD arrived: call http_exchange_reply*() once, now or later. Other methods and
	 * malformed requests never come here.
	 */
	void (*handle)(struct http_exchange *exchange, void *data);
	/* The exchange is over, answered or not; it must not be used afterwards. */
	void (*done)(
		struct http_exchange *exchange, const struct http_outcome *outcome, void *data);
	void *data;
	/* Bodies share this limit, borrowed, with whatever else has it; NULL: no limit. */
	struct pacer *pacer;
};

/*
 * Listens on a numeric address, or on a unix socket: one that a dead process left at its path is
 * replaced, its mode is 0600, and http_server_free() removes it. ERR_AGAIN when the port is in use,
 * ERR_NOT_FOUND when no interface has the address, ERR_IO without the permission; each with a hint
 * for a user.
 */
int http_server_new(struct event_base *base, const struct sockaddr *addr, socklen_t addr_len,
	const struct http_server_config *config, struct http_server **ret, struct err *err);
/* The same on a socket that listens already, which is taken over also on failure. ERR_NOMEM. */
int http_server_adopt(struct event_base *base, int take_fd, const struct http_server_config *config,
	struct http_server **ret, struct err *err);
/* Cuts what still runs (`done` is called for it). NULL is fine; returns NULL. */
struct http_server *http_server_free(struct http_server *server);

/* The port that is listened on: the chosen one when 0 was asked for; 0 on a unix socket. */
uint16_t http_server_port(const struct http_server *server);
unsigned http_server_clients(const struct http_server *server);

/*
 * Takes no more connections, closes idle ones, and lets running transfers end; `drained` is called
 * (from the loop, or at once) when the last one is gone.
 */
void http_server_drain(struct http_server *server, void (*drained)(void *data), void *data);

const struct http_request *http_exchange_request(const struct http_exchange *exchange);
/* The client's numeric address, without port; "" on a unix socket. Lives as long as the exchange.
 */
const char *http_exchange_peer(const struct http_exchange *exchange);
/* Bytes of body that the client acknowledged so far, and that are to be sent in all. */
void http_exchange_progress(
	const struct http_exchange *exchange, uint64_t *ret_sent, uint64_t *ret_len);
/* A pointer of the handler's own. */
void http_exchange_set_tag(struct http_exchange *exchange, void *tag);
void *http_exchange_tag(const struct http_exchange *exchange);

/* Answers with a body, whose reference is taken over: 200 when it is what was asked for. */
void http_exchange_reply(struct http_exchange *exchange, int status, struct http_body *take_body);
/* Answers with a line of text. */
void http_exchange_reply_text(struct http_exchange *exchange, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The same with 503, and when to come again (Retry-After, RFC 9110, section 10.2.3). */
void http_exchange_reply_later(struct http_exchange *exchange, unsigned seconds, const char *fmt,
	...) __attribute__((format(printf, 3, 4)));

/* True when the client asks to go on in `protocol` instead of HTTP. */
bool http_exchange_wants(const struct http_exchange *exchange, const char *protocol);
/* Gets the connection (non-blocking) and what the client sent behind its request already, which
 * lives as long as the call. */
typedef void http_upgraded_fn(int take_fd, const void *early, size_t early_len, void *data);
/*
 * Answers 101. When that is out, the exchange is done and `upgraded` is called; when the client
 * leaves before, only `done` is.
 */
void http_exchange_upgrade(struct http_exchange *exchange, const char *protocol,
	http_upgraded_fn *upgraded, void *data);

/*
 * Answers 200 with a body of that type that has no end: when the head is out, `upgraded` gets the
 * connection to write it to, as above. For GET only.
 */
void http_exchange_stream(
	struct http_exchange *exchange, const char *type, http_upgraded_fn *upgraded, void *data);

#endif
