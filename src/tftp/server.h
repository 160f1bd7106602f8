/* SPDX-License-Identifier: MIT */
#ifndef TFTP_SERVER_H
#define TFTP_SERVER_H

/*
 * A read-only TFTP server of bodies on one event loop: RFC 1350 with options (RFC 2347), block size
 * (2348), timeout and transfer size (2349) and windows (7440). A client costs two descriptors and
 * no buffer.
 */

#include "http/body.h"
#include "tftp/packet.h"

#include <sys/socket.h>

#define TFTP_PORT 69

struct event_base;
struct pacer;
struct tftp_server;

/* One request and what is answered to it. Ends when its `done` was called. */
struct tftp_exchange;

/* How an exchange ended. */
struct tftp_outcome {
	uint64_t len;        /* bytes that were to be sent */
	uint64_t sent;       /* bytes that the client acknowledged */
	uint64_t elapsed_us; /* from the request on */
	const char *failure; /* why not all went out, or what it was refused with; NULL: all did */
};

struct tftp_limits {
	unsigned transfers;  /* at once; who comes then is not answered, and asks again */
	unsigned per_client; /* of one address; its oldest one makes place for another */
	unsigned wait_s;     /* for the handler's answer */
};

#define TFTP_LIMITS_DEFAULT ((struct tftp_limits){.transfers = 256, .per_client = 8, .wait_s = 120})

struct tftp_server_config {
	struct tftp_limits limits;
	/*
	 * A client wants to read a file in octet mode: call tftp_exchange_reply() or _refuse()
	 * once, now or later. Other requests are refused before they come here; then only `done` is
	 * called.
	 */
	void (*handle)(struct tftp_exchange *exchange, void *data);
	/* The exchange is over, answered or not; it must not be used afterwards. */
	void (*done)(
		struct tftp_exchange *exchange, const struct tftp_outcome *outcome, void *data);
	void *data;
	struct pacer *pacer; /* bodies share this limit, borrowed; NULL: no limit */
};

/*
 * Listens on a numeric address; port 0 takes any that is free. ERR_AGAIN when the port is in use,
 * ERR_NOT_FOUND when no interface has the address, ERR_IO without the permission; each with a hint
 * for a user.
 */
int tftp_server_new(struct event_base *base, const struct sockaddr *addr, socklen_t addr_len,
	const struct tftp_server_config *config, struct tftp_server **ret, struct err *err);
/* Cuts what still runs (`done` is called for it). NULL is fine; returns NULL. */
struct tftp_server *tftp_server_free(struct tftp_server *server);

uint16_t tftp_server_port(const struct tftp_server *server);
unsigned tftp_server_clients(const struct tftp_server *server);

/* Takes no more requests; `drained` is called (from the loop, or at once) when the last transfer
 * ended. */
void tftp_server_drain(struct tftp_server *server, void (*drained)(void *data), void *data);

const struct tftp_request *tftp_exchange_request(const struct tftp_exchange *exchange);
/* The request's name as tftp_request_path() gives it. */
const char *tftp_exchange_path(const struct tftp_exchange *exchange);
/* The client's numeric address, without port. */
const char *tftp_exchange_peer(const struct tftp_exchange *exchange);
/* Where the client reached us, numeric, without port. */
const char *tftp_exchange_own(const struct tftp_exchange *exchange);
/* Bytes that the client acknowledged so far, and that are to be sent in all: 0 before the reply. */
void tftp_exchange_progress(
	const struct tftp_exchange *exchange, uint64_t *ret_sent, uint64_t *ret_len);
/* A pointer of the handler's own. */
void tftp_exchange_set_tag(struct tftp_exchange *exchange, void *tag);
void *tftp_exchange_tag(const struct tftp_exchange *exchange);

/* Sends a body, whose reference is taken over. The exchange may be done when this returns. */
void tftp_exchange_reply(struct tftp_exchange *exchange, struct http_body *take_body);
/* Says why not. The exchange is done when this returns. */
void tftp_exchange_refuse(struct tftp_exchange *exchange, enum tftp_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
