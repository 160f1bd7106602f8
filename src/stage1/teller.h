/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_TELLER_H
#define STAGE1_TELLER_H

/* Tells a server one thing, by fetching a URL that says it: from each origin in turn, again and
 * again, until one answers 200. */

#include "base/vec.h"
#include "stage1/netconf.h"

struct event_base;
struct teller;

struct teller_params {
	const struct strvec *urls; /* asked in turn until one says 200 */
	unsigned pause_ms;         /* after a round in vain, doubled up to 32 times */
	unsigned patience_ms;      /* in all */
};
/* Begins; `done` is called from the loop, with NULL when it is told. `params` is copied, its urls
 * are borrowed. ERR_NOMEM. */
int teller_new(struct event_base *base, const struct teller_params *params,
	void (*done)(const struct err *failure, void *data), void *data, struct teller **ret,
	struct err *err);
struct teller *teller_free(struct teller *teller); /* NULL is fine */

/*
 * A memfd with a line for each origin: ORIGIN/v1/WHAT, with the card that the machine booted from
 * and, unless it is NULL, `why`. For a program that is started; ERR_IO, ERR_NOMEM.
 */
int teller_keep_urls(const struct netconf *conf, const char *what, const char *why, int *ret_fd,
	struct err *err);
int teller_read_urls(int fd, struct strvec *ret, struct err *err);

#endif
