/* SPDX-License-Identifier: MIT */
#ifndef SERVE_ORIGIN_H
#define SERVE_ORIGIN_H

/*
 * What an origin answers (serve/route.h has the paths), and what it knows of the machines that ask.
 */

#include "base/vec.h"
#include "http/server.h"
#include "serve/boot.h"
#include "serve/dispatch.h"
#include "serve/journal.h"

struct event_base;
struct origin;
struct tftp_exchange;
struct tftp_outcome;

/* The strings, and what is pointed to, outlive the origin. */
struct origin_options {
	const struct strvec *systems; /* store paths or symlinks to them; the first is the default;
					 may be none */
	const struct boot_options *boot;
	const struct journal *journal;
	const char *cache_control; /* of objects */
	struct pacer *pacer;       /* of the uplink, borrowed; NULL: no limit */
	unsigned links_max;        /* of nodes, at once */
	bool boot_from_peers;
	bool any_system;       /* of the local store, by its file name */
	const char *ipxe_dir;  /* whose files boot loaders get by TFTP; NULL: none */
	const char *machines;  /* the machines' directory (docs/formats/machines.md), or NULL */
	const char *state_dir; /* with it: where one-shot assignments are remembered */
	struct dispatch_options dispatch;
};

/* Begins to make the boots. A system that cannot be resolved now is an error. */
int origin_new(struct event_base *base, const struct origin_options *options, struct origin **ret,
	struct err *err);
/* Only after the server that uses it is gone. NULL is fine; returns NULL. */
struct origin *origin_free(struct origin *origin);

/* How clients reach us when a request does not say: "http://ADDR:PORT". */
void origin_set_url(struct origin *origin, const char *url);

/* Looks where the symlinks lead now; failures are logged. */
void origin_refresh(struct origin *origin);

/* True while a boot is being made: what the options point to is in use beyond origin_free(). */
bool origin_is_busy(const struct origin *origin);

/* Lets nobody wait any longer, and closes the links: for the end. */
void origin_stop(struct origin *origin);

/* A step that was seen elsewhere (DHCP). `boot_loader`: only a boot loader does this. */
void origin_saw(struct origin *origin, const struct journal_step *step, bool boot_loader);

/* Our DHCP gave that address to that hardware address. */
void origin_leased(struct origin *origin, const char *mac, const char *address);

/* For struct http_server_config; data is the origin. */
void origin_handle(struct http_exchange *exchange, void *data);
void origin_done(struct http_exchange *exchange, const struct http_outcome *outcome, void *data);

/* For struct tftp_server_config, likewise. */
void origin_load(struct tftp_exchange *exchange, void *data);
void origin_loaded(struct tftp_exchange *exchange, const struct tftp_outcome *outcome, void *data);

#endif
