/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_CONSOLE_H
#define STAGE1_CONSOLE_H

/* Every console of the machine at once: whoever sits in front of any of them sees and may answer.
 */

#include "base/err.h"
#include "base/vec.h"
#include "stage1/cmdline.h"

#define CONSOLES_MAX 8

struct consoles {
	int fds[CONSOLES_MAX];
	char *paths[CONSOLES_MAX];
	size_t len;
};

/* Appends the device names of all consoles: those the kernel uses (`active`), and console= ones. */
int console_names(
	const char *active, const struct cmdline *cmdline, struct strvec *names, struct err *err);

/* Opens all that can be opened. */
void consoles_open(struct consoles *ret, const struct cmdline *cmdline);
void consoles_close(struct consoles *consoles);
void consoles_print(const struct consoles *consoles, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/*
 * Asks on all of them and waits for a line on any: its first character, and the index of the
 * console. What was typed before the question is no answer; what is typed once it can be seen is.
 */
char consoles_ask(const struct consoles *consoles, const char *question, size_t *ret_index);

#endif
