/* SPDX-License-Identifier: MIT */
#ifndef SERVE_JOURNAL_H
#define SERVE_JOURNAL_H

/* One line for each step a client takes: for people, or JSON for machines. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct journal {
	FILE *out;
	bool json;
};

/* What is not known stays zero and is not printed. */
struct journal_step {
	const char *
		step; /* "dhcp", "tftp", "script", "kernel", "initrd", "manifest", "node", "http" */
	const char *client; /* its address */
	const char *mac;
	const char *subject; /* file, path or system */
	const char *note;    /* a few words */
	int status;          /* of HTTP */
	unsigned percent;    /* of a transfer that runs */
	uint64_t bytes, total_bytes;
	uint64_t elapsed_us;
};

void journal_put(const struct journal *journal, const struct journal_step *step);
/* The step as JSON on a line without its end; caller owns it; NULL without memory. */
char *journal_json(const struct journal_step *step);

/* The hardware address of a neighbour, from the kernel's table, into `mac`; false: unknown. */
bool journal_find_mac(const char *client, char mac[18]);

#endif
