/* SPDX-License-Identifier: MIT */
#ifndef SERVE_SERVE_H
#define SERVE_SERVE_H

/* The whole server: HTTP, DHCP and TFTP, signals, and the order in which they start and stop. */

#include "base/vec.h"
#include "serve/boot.h"
#include "serve/dhcp.h"
#include "serve/dispatch.h"
#include "serve/journal.h"

#define SERVE_PORT_DEFAULT 8080

struct serve_options {
	struct strvec systems;            /* may be none with machines */
	const char *machines;             /* the machines' directory, or NULL */
	struct dispatch_options dispatch; /* its state_dir is filled in by serve_run() */
	struct boot_options boot;         /* state_dir and signer are filled in by serve_run() */
	enum dhcp_mode dhcp;
	const char *interface; /* NULL: the only one there is */
	const char *listen; /* "ADDR", "ADDR:PORT", "[ADDR6]:PORT"; NULL: the interface's address,
			       or all of them without DHCP */
	int tftp_port; /* of UDP, 0: any that is free, -1: none. With DHCP it is 69, which clients
			  of PXE ask */
	const char *ipxe_dir; /* NULL: where distributions put it */
	const char *user;     /* to become, as root; NULL: stay who we are */
	struct journal journal;
	/* For network roots: */
	struct strvec keys;        /* files of secret keys; none: one of our own in state_dir */
	const char *state_dir;     /* NULL: signer_default_dir() */
	const char *cache_control; /* of objects */
	uint64_t uplink;           /* bytes a second of objects and chunks, 0: no limit */
	bool boot_from_peers;
	bool any_system; /* of the local store is booted by /boot/NAME/ */
};

/*
 * Serves, without any privileges once all ports are open unless we stay root, until SIGINT or
 * SIGTERM (success: running transfers may end within 10 s; a second signal cuts them) or until
 * dnsmasq fails. SIGHUP looks where the symlinks lead now, and acquires again what lies elsewhere.
 * *ret_busy is always set: true when a boot is still being made and uses what the options point to.
 */
int serve_run(struct serve_options *options, bool *ret_busy, struct err *err);

#endif
