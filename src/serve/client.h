/* SPDX-License-Identifier: MIT */
#ifndef SERVE_CLIENT_H
#define SERVE_CLIENT_H

/* What a boot loader says of its machine, in the query of its request. */

#include "rules/identity.h"

#include "base/err.h"
#include "base/mem.h"

enum firmware { FIRMWARE_UNKNOWN, FIRMWARE_BIOS, FIRMWARE_EFI };

struct client {
	bool said; /* it said anything at all */
	struct identity who;
	enum firmware firmware;
	unsigned memory_mib;   /* 0: unknown */
	char arch[16];         /* of the boot loader: "i386", "x86_64", "arm64"; "" unknown */
	char *prefix, *suffix; /* words for the begin and the end of the command line, or NULL */
};

#define AUTO_CLIENT AUTO(client_done) struct client

void client_done(struct client *client);

/*
 * Reads the query of a request, NULL if it has none. What makes no sense counts as unknown: iPXE
 * writes nothing for what it does not know. ERR_CORRUPT for a broken escape.
 */
int client_read(const char *query, struct client *ret, struct err *err);

/* The query with which iPXE tells all of that: its settings, expanded by itself. */
#define CLIENT_QUERY_IPXE \
	"mac=${netX/mac:hexhyp}&uuid=${uuid}&serial=${serial:uristring}" \
	"&asset=${asset:uristring}&memory=${memsize}&firmware=${platform}&arch=${buildarch}"

#endif
