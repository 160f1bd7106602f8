/* SPDX-License-Identifier: MIT */
#ifndef SERVE_PARTS_H
#define SERVE_PARTS_H

/* The inside of an origin: shared by origin.c, crew.c and report.c, and nobody else. */

#include "rules/assignment.h"
#include "serve/client.h"
#include "serve/events.h"
#include "serve/extlinux.h"
#include "serve/hub.h"
#include "serve/journal.h"
#include "serve/machines.h"
#include "serve/origin.h"
#include "serve/profiles.h"
#include "serve/route.h"
#include "serve/systems.h"
#include "serve/watchers.h"

#include <sys/queue.h>

/* A request that waits, or whose progress a status shows. It is the exchange's tag. */
struct request {
	TAILQ_ENTRY(request) entry;
	struct http_exchange *exchange;
	char *toplevel;  /* waits for this boot; NULL: does not */
	bool for_events; /* waits for an event behind `after` */
	uint64_t after;
	struct dispatch_job *job; /* waits for this; NULL: does not */
	bool fetched;             /* `toplevel` lies elsewhere, which may take long */
	uint64_t deadline_us;     /* of for_events, job and fetched */
	struct watcher *watcher;  /* becomes one when the answer's head is out */
	unsigned told;            /* tenths of its way that were events */
	/* Of who said what it is: */
	char mac[18]; /* "" unknown */
	char *note;   /* for the journal, or NULL */
	bool refused; /* it was told why it boots nothing */
	char *system; /* toplevel's file name that it was given, or NULL */
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
	struct rules rules; /* which machine boots what */
	struct dispatch *dispatch;
	struct events events;
	struct watchers *watchers;
	uint64_t looked_us;  /* at transfers that run */
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

/* The request of an exchange, made at first need; NULL without memory, which is answered then. */
struct request *origin_request(struct origin *origin, struct http_exchange *exchange);
/* The request waits for that boot. */
void origin_await(struct origin *origin, struct request *request, const char *toplevel);
/* The system of that file name, or "default", made now with --any-system. NULL: none here. */
struct version *origin_system(struct origin *origin, const char *name, size_t len);

/* choice.c: what a machine boots. */

/*
 * The assignment of a client, and the version that it leads to, which is made now unless it is
 * there already. Fails with what its user should read; *ret may be filled then, too.
 */
int choice_make(struct origin *origin, const struct client *client, struct assignment *ret,
	struct version **ret_version, struct err *err);
/*
 * Begins to make what the machines' directory names, so that machines that run find it again after
 * a restart, and warns of what is broken there. Fails when it cannot be read.
 */
int choice_prepare(struct origin *origin, struct err *err);
/* True when the answer depends on the machine. */
bool choice_is_asked(const struct origin *origin, const struct route *route);
/* Answers with the script for the machine that asks, or with one that asks back. */
void choice_reply(struct origin *origin, struct http_exchange *exchange);
/* What it waited for is made, or not and why. */
void choice_made(struct origin *origin, struct http_exchange *exchange, const struct err *failure);
/* A machine is up: what it was given for once is used up. */
void choice_came_up(struct origin *origin, const struct machine *machine);
/* Answers a machine without a link that says so itself. */
void choice_reply_up(struct origin *origin, struct http_exchange *exchange);

/* processor.c: systems of the command line by what they run on. `arch` is a boot loader's word for
 * its machine, as in struct client. */

/* False when the machine is known to run something else. */
bool processor_runs(const struct origin *origin, const char *arch, const char *toplevel);
/* The first one that it runs; NULL: there is none. Borrowed until the next refresh. */
const char *processor_first(const struct origin *origin, const char *arch);
/* True when they are not all for the same. */
bool processor_matters(const struct origin *origin);

/* failure.c: answers ROUTE_FAILED. */
void failure_reply(struct origin *origin, struct http_exchange *exchange);
/* Looks for machines that fell silent, once a second. */
void failure_look(struct origin *origin);

/* explain.c: answers ROUTE_EXPLAIN. */
void explain_reply(struct origin *origin, struct http_exchange *exchange);

/* boot_script.c: `params` are words for the end of the kernel command line, or NULL. */

/* The boot's command line with what is added to it; `client` may be NULL; NULL with ERR_USAGE. */
char *script_cmdline(
	const struct boot *boot, const struct client *client, const char *params, struct err *err);
/* How this client reaches us: as it just did. NULL with ERR_NOMEM. */
char *script_client_url(
	const struct origin *origin, const struct http_exchange *exchange, struct err *err);
/* Answers with the boot's script for this client. */
void script_reply(struct origin *origin, struct http_exchange *exchange, const struct boot *boot,
	const char *params);

/* crew.c: what nodes say on their links. */
extern const struct hub_ops crew_ops;

/* Answers with what changes: nobody may keep it without asking again. */
void origin_reply_fresh(struct http_exchange *exchange, const struct buf *text, const char *type);

/* news.c: answers ROUTE_EVENTS. */
void news_reply(struct origin *origin, struct http_exchange *exchange);
/* Once a second, and when there is an event. */
void news_look(struct origin *origin);
/* A transfer that runs is an event at each tenth of its way; `told` is how many there were. */
void news_of_transfer(struct origin *origin, struct journal_step *step, unsigned *told);

/* report.c: answers ROUTE_INDEX, ROUTE_STATUS, ROUTE_MACHINES and ROUTE_METRICS. */
void report_reply(struct origin *origin, struct http_exchange *exchange, const struct route *route);

/*
 * What rules and payload add to the command line, which the caller owns, and why in `reason`.
 * ERR_UNSUPPORTED when the machine cannot boot it.
 */
int choice_params(const struct origin *origin, const struct client *client, const struct boot *boot,
	const struct assignment *assignment, char *reason, char **ret, struct err *err);
/* For the journal: what was chosen. */
void choice_note(struct request *request, const struct assignment *assignment, const char *reason);

/* http_boot.c: answers a BOOT_UKI, or lets it wait. */
void http_boot_reply(
	struct origin *origin, struct http_exchange *exchange, const struct route *route);

/* pxelinux.c: extlinux.conf by HTTP and TFTP. */

struct pxelinux_question {
	struct extlinux_who who;
	const char *client; /* its address */
	const char *url;    /* how it reaches our HTTP */
};
/*
 * What that machine gets now: 1 and its text in `out`, or 0: its boot is being made. *ret_toplevel,
 * which the caller owns, is what it boots. ERR_NOT_FOUND when there is nothing for it.
 */
int pxelinux_answer(struct origin *origin, const struct pxelinux_question *question,
	struct buf *out, char **ret_toplevel, struct err *err);
/* Answers ROUTE_EXTLINUX, or lets it wait. */
void pxelinux_reply(
	struct origin *origin, struct http_exchange *exchange, const struct route *route);

/* loader.c: who waits for this boot gets it, or hears why not. */
void loader_made(
	struct origin *origin, const char *toplevel, struct boot *boot, const struct err *failure);
/* Machines hear how far their transfers by TFTP are. */
void loader_look(struct origin *origin);
/* True while the client at that address loads something. */
bool loader_loads(const struct origin *origin, const char *client);
/* And events tell it. */
void loader_tell(struct origin *origin);

/* Appends JSON as a line of text; the object is taken over; NULL: ERR_NOMEM. */
struct json_t;
int report_put(struct json_t *take_object, struct buf *out, struct err *err);

/* metrics.c: for Prometheus. ERR_NOMEM. */
int metrics_put(struct origin *origin, struct buf *out, struct err *err);

#endif
