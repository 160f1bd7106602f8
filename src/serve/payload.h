/* SPDX-License-Identifier: MIT */
#ifndef SERVE_PAYLOAD_H
#define SERVE_PAYLOAD_H

/* What a machine can take, by what its boot loader says of it. Decisions without I/O. */

#include "serve/boot.h"
#include "serve/client.h"

#define PAYLOAD_REASON_SIZE 160

/* What there is to be sent, bytes. */
struct payload {
	enum root_kind root; /* not ROOT_AUTO */
	uint64_t kernel, initrd;
	uint64_t image;     /* of the root */
	uint64_t memory;    /* ROOT_RAM: what a machine with a BIOS needs at least */
	const char *system; /* "x86_64-linux" */
};

/* The payload of a boot with that root. */
struct payload payload_of(const struct boot *boot, enum root_kind root);

/*
 * ROOT_COPY when the whole image fits well into the machine's memory, else ROOT_NET; why, in
 * `reason`.
 */
enum root_kind payload_choose(
	const struct client *client, uint64_t image, char reason[PAYLOAD_REASON_SIZE]);

/* False when a boot loader of that architecture (as in struct client) cannot start that system
 * ("aarch64-linux", or NULL). What is unknown is no obstacle. */
bool payload_runs(const char *arch, const char *system);

/*
 * ERR_UNSUPPORTED when the machine cannot boot it: too little memory, an initrd that its firmware
 * does not load, another architecture. What is unknown is no obstacle.
 */
int payload_check(const struct client *client, const struct payload *payload, struct err *err);

#endif
