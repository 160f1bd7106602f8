/* SPDX-License-Identifier: MIT */
#ifndef SERVE_ORIGIN_H
#define SERVE_ORIGIN_H

/*
 * What is served: the systems by name, their boots as they come and go, and the routes
 *
 *   /                                 a status page
 *   /boot/NAME/netboot.ipxe           the script, NAME being the toplevel's file name or "default"
 *   /boot/NAME/{bzImage,initrd}
 */

#include "base/vec.h"
#include "http/server.h"
#include "serve/boot.h"
#include "serve/journal.h"

struct event_base;
struct origin;

/*
 * Serves `systems` (store paths or symlinks to them; the first is the default one). The boots are
 * begun at once. A system that cannot be resolved now is an error.
 */
int origin_new(struct event_base *base, const struct strvec *systems,
	const struct boot_options *options, const struct journal *journal, struct origin **ret,
	struct err *err);
/* Only after the server that uses it is gone. NULL is fine; returns NULL. */
struct origin *origin_free(struct origin *origin);

/* Looks where the symlinks lead now; failures are logged. */
void origin_refresh(struct origin *origin);

/* For struct http_server_config; data is the origin. */
void origin_handle(struct http_exchange *exchange, void *data);
void origin_done(struct http_exchange *exchange, const struct http_outcome *outcome, void *data);

#endif
