/* SPDX-License-Identifier: MIT */
#ifndef HTTP_CONNECTION_H
#define HTTP_CONNECTION_H

/* One client of a server: what server.c and connection.c share, and nobody else needs. */

#include "base/buf.h"
#include "http/pacer.h"
#include "http/response.h"
#include "http/server.h"

#include <netinet/in.h>
#include <sys/queue.h>

struct event;

enum http_state {
	HTTP_STATE_READING,   /* a request, or its beginning */
	HTTP_STATE_WAITING,   /* for the handler's reply */
	HTTP_STATE_WRITING,   /* the reply */
	HTTP_STATE_LINGERING, /* for the client to close, after our last byte */
};

/* The request in hand and what was sent of its answer. */
struct http_exchange {
	struct http_connection *connection;
	struct http_request request;
	struct http_response response;
	struct http_body *body; /* one reference, or NULL before the reply */
	struct buf head;
	size_t head_sent;
	uint64_t body_len; /* bytes that follow the head: 0 for HEAD */
	uint64_t body_sent;
	uint64_t began_us; /* CLOCK_MONOTONIC */
	void *tag;
};

struct http_connection {
	TAILQ_ENTRY(http_connection) entry;
	struct http_server *server;
	int fd;
	char peer[INET6_ADDRSTRLEN]; /* "" on a unix socket */
	enum http_state state;
	struct event *readable, *writable, *deadline;
	char in[HTTP_HEAD_MAX];
	size_t in_len;
	bool answered;     /* at least one request */
	bool head_begun;   /* the deadline of the next head runs */
	bool finish;       /* no further request after this one */
	uint64_t heard_us; /* its last byte, or its begin (CLOCK_MONOTONIC) */
	struct http_exchange exchange;
	http_upgraded_fn *upgraded; /* gets the connection when the 101 is out; or NULL */
	void *upgraded_data;
	/* The file that is being sent from, opened when its piece comes up. */
	int file;
	const char *file_path; /* the piece's pointer */
	/* The answer's body in turns with others', when the server has a pacer. */
	struct pacer_client turns;
	bool paced;         /* it waits for turns */
	bool starved;       /* waited for one since the last look at its progress */
	uint64_t allowance; /* bytes of turns that it has not sent */
	bool corked;        /* only full packets leave */
	uint64_t queued;    /* bytes given to the kernel in all */
	/* At the last look at its progress: */
	uint64_t taken;     /* bytes the client had acknowledged */
	uint64_t looked_us; /* when it was (CLOCK_MONOTONIC) */
	uint64_t rate;      /* bytes a second till then; UINT64_MAX: unknown, or not its fault */
};

TAILQ_HEAD(http_connections, http_connection);

/*
 * Serves the client at `take_fd`, which is closed in any case; NULL with ERR_NOMEM. The connection
 * ends by itself and calls http_server_forget() then.
 */
struct http_connection *http_connection_new(
	struct http_server *server, int take_fd, const struct sockaddr *peer, struct err *err);
/* Cuts it at once; `failure` (or NULL) is what the outcome of a running exchange says. */
void http_connection_cut(struct http_connection *connection, const char *failure);
/* The same, and what the client has not taken is forgotten: the kernel would keep it for minutes.
 */
void http_connection_reset(struct http_connection *connection, const char *failure);
/* True between requests, when none is on its way. */
bool http_connection_idle(const struct http_connection *connection);
/* True before a request is whole, when nothing came for a moment, and after the last answer. */
bool http_connection_asks_nothing(const struct http_connection *connection);
/* Lets the exchange that runs be the last one; closes the connection when there is none. */
void http_connection_finish(struct http_connection *connection);

/* sender.c for connection.c: opens the file of a piece unless it is the one that is open. */
int http_connection_open(
	struct http_connection *connection, const struct http_piece *piece, struct err *err);
void http_connection_close_file(struct http_connection *connection);
/* Sends what the socket takes now: 1 when the answer is out, 0 when there is more for later. */
int http_connection_send(struct http_connection *connection, struct err *err);

/* The client is at this address: whose turns it gets. */
void http_connection_pace(struct http_connection *connection, const struct sockaddr *peer);
/* An answer begins: sends from the loop, at once or when its turn comes. */
void http_connection_begin_turns(struct http_connection *connection);
/* Waits for the next turn when this one is used up. */
void http_connection_await_turn(struct http_connection *connection);
/* The answer ended: gives back what it did not use. */
void http_connection_end_turns(struct http_connection *connection);

/* progress.c: an answer begins. */
void http_progress_begin(struct http_connection *connection);
/* Looks: true when the client acknowledged enough since the last look, or had to wait for us. */
bool http_progress_suffices(struct http_connection *connection);
/* Bytes a second that the client takes of its answer, seen over limits.place_ms at least.
 * UINT64_MAX when it was not seen for so long, when it waits for us, and when it gets no answer. */
uint64_t http_progress_rate(const struct http_connection *connection);

/* For connection.c: what the server is, and that a connection is gone. */
struct event_base *http_server_base(const struct http_server *server);
const struct http_server_config *http_server_config(const struct http_server *server);
void http_server_forget(struct http_server *server, struct http_connection *connection);

#endif
