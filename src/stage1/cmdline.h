/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_CMDLINE_H
#define STAGE1_CMDLINE_H

/* The kernel command line as words, quoted as the kernel does it (Linux lib/cmdline.c next_arg). */

#include "base/err.h"
#include "base/vec.h"

#include <stdbool.h>

struct cmdline {
	struct strvec words; /* "key", "key=value"; without the quotes around a value or a word */
};

void cmdline_done(struct cmdline *cmdline);

/* Splits `text`. Words behind a lone "--" are init's, not ours, and are left out. ERR_NOMEM. */
int cmdline_parse(const char *text, struct cmdline *ret, struct err *err);

/* The value of the last `key=value`; NULL when there is none. Lives as long as the command line. */
const char *cmdline_get(const struct cmdline *cmdline, const char *key);
/* How often `key=…` stands there. */
size_t cmdline_count(const struct cmdline *cmdline, const char *key);
/* True for a bare `key`, and for `key=` with 1, y, yes, true or on; the last one counts. */
bool cmdline_flag(const struct cmdline *cmdline, const char *key);
/* The value of `word` if it is "key=value" with that key, else NULL. */
const char *cmdline_value(const char *word, const char *key);

#endif
