/* SPDX-License-Identifier: MIT */
#ifndef SERVE_PARTS_H
#define SERVE_PARTS_H

/* The inside of an origin: shared by origin.c, crew.c and report.c, and nobody else. */

#include "serve/events.h"
#include "serve/hub.h"
#include "serve/machines.h"
#include "serve/origin.h"
#include "serve/profiles.h"
#include "serve/route.h"
#include "serve/systems.h"

#include <sys/queue.h>

/* A request that waits, or whose progress a status shows. It is the exchange's tag. */
struct request {
	TAILQ_ENTRY(request) entry;
	struct http_exchange *exchange;
	char *toplevel;  /* waits for this boot; NULL: does not */
	bool for_events; /* waits for an event behind `after` */
	uint64_t after;
	uint64_t deadline_us; /* of for_events */
};

/* What went out, by kind of request. */
struct traffic {
	uint64_t requests, bytes;
};

struct loading; /* a request by TFTP */

struct origin {
	struct origin_options options;
	struct event_base *base;
	struct systems *systems;
	struct hub *hub;           /* NULL unless clients get a network root */
	struct profiles *profiles; /* likewise */
	struct machines machines;
	struct events events;
	struct event *clock; /* once a second: who waited for events long enough, what is to save */
	unsigned ticks;
	char *url;
	uint64_t began_us, spread;
	uint64_t told_serial; /* the highest one of a node that was warned of */
	struct traffic traffic[ROUTE_METRICS + 1]; /* by route kind */
	struct traffic loaded;                     /* by TFTP */
	TAILQ_HEAD(, request) requests;
	TAILQ_HEAD(, loading) loadings;
	bool stopping;
};

/* Journal, events and machines hear of a step. */
void origin_step(struct origin *origin, const struct journal_step *step);

/* crew.c: what nodes say on their links. */
extern const struct hub_ops crew_ops;

/* Answers with what changes: nobody may keep it without asking again. */
void origin_reply_fresh(struct http_exchange *exchange, const struct buf *text, const char *type);

/* report.c: answers ROUTE_INDEX, ROUTE_STATUS, ROUTE_MACHINES and ROUTE_METRICS. */
void report_reply(struct origin *origin, struct http_exchange *exchange, const struct route *route);

/* loader.c: who waits for this boot gets it, or hears why not. */
void loader_made(
	struct origin *origin, const char *toplevel, struct boot *boot, const struct err *failure);
/* Machines hear how far their transfers by TFTP are. */
void loader_look(struct origin *origin);

/* metrics.c: for Prometheus. ERR_NOMEM. */
int metrics_put(struct origin *origin, struct buf *out, struct err *err);

#endif
