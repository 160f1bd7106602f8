/* SPDX-License-Identifier: MIT */
#ifndef TFTP_EXCHANGE_H
#define TFTP_EXCHANGE_H

/* One client of a server: what server.c and exchange.c share, and nobody else needs. */

#include "http/pacer.h"
#include "tftp/reader.h"
#include "tftp/server.h"
#include "tftp/transfer.h"

#include <netinet/in.h>
#include <sys/queue.h>

struct event;

struct tftp_exchange {
	TAILQ_ENTRY(tftp_exchange) entry;
	struct tftp_server *server;
	int fd; /* of its own, connected: the kernel drops what others send to it */
	struct sockaddr_storage client;
	char peer[INET6_ADDRSTRLEN], own[INET6_ADDRSTRLEN];
	struct tftp_request request;
	char path[TFTP_NAME_MAX + 1];
	struct event *readable, *writable, *deadline;
	struct http_body *body; /* one reference, or NULL before the reply */
	struct tftp_reader reader;
	struct tftp_transfer transfer;
	uint64_t began_us, heard_us;
	bool heard; /* it acknowledged something: its address is its own */
	struct pacer_client turns;
	bool paced;
	uint64_t allowance; /* bytes of turns that it has not sent */
	char failure[sizeof(((struct err *)0)->msg)];
	void *tag;
};

TAILQ_HEAD(tftp_exchanges, tftp_exchange);

/* Where a request came from and where it was sent to. */
struct tftp_way {
	struct sockaddr_storage client, own; /* own: with port 0 */
	socklen_t len;
};

/*
 * A new exchange with a socket of its own, which answers from the address that was asked. It ends
 * by itself and calls tftp_server_forget() then. ERR_LIMIT, ERR_IO, ERR_NOMEM.
 */
int tftp_exchange_new(struct tftp_server *server, const struct tftp_way *way,
	const struct tftp_request *request, struct tftp_exchange **ret, struct err *err);
/* Ends it at once; `failure` is what the outcome says. */
void tftp_exchange_cut(struct tftp_exchange *exchange, const char *failure);

/* server.c for exchange.c */
struct event_base *tftp_server_base(const struct tftp_server *server);
const struct tftp_server_config *tftp_server_config(const struct tftp_server *server);
/* The exchange is over and will be freed. */
void tftp_server_forget(struct tftp_server *server, struct tftp_exchange *exchange);

/* CLOCK_MONOTONIC, microseconds. */
uint64_t tftp_now_us(void);

/* Numeric, without port. */
void tftp_address_text(const struct sockaddr_storage *addr, char out[INET6_ADDRSTRLEN]);

#endif
