/* SPDX-License-Identifier: MIT */
#ifndef CACHED_H
#define CACHED_H

/* A lab whose server has no store: its system is in a binary cache, signed, and nowhere else. */

#include "lab.h"

enum cached_by { CACHED_FILE, CACHED_HTTP };

/*
 * Makes the cache below the lab's directory, hides the store from servers that are started
 * afterwards, gives them an empty pool, and appends the words that they need to serve the system.
 * The web server of CACHED_HTTP ends with the lab.
 */
int cached_make(struct lab *lab, const char *system, enum cached_by by, struct strvec *words,
	struct err *err);

#endif
