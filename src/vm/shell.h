/* SPDX-License-Identifier: MIT */
#ifndef VM_SHELL_H
#define VM_SHELL_H

/* A shell on a console: log in, run commands, get their output and exit status. */

#include "vm/console.h"

/*
 * Waits for "login:", logs in as `user` (with `password`, or NULL when none is asked), and makes
 * the shell quiet: no echo, no prompt, no kernel messages in between. The user's shell must be a
 * POSIX shell.
 */
int shell_login(struct console *c, const char *user, const char *password, unsigned timeout_ms,
	struct err *err);

/* The quieting alone, for a console that already shows a shell's prompt (a rescue shell). */
int shell_adopt(struct console *c, unsigned timeout_ms, struct err *err);

/*
 * Runs `command` (shell text of at most 3,500 bytes, the terminal's limit for a line) and waits for
 * its end. *ret_output is standard output and errors without the trailing newlines; caller owns
 * it; ret_output may be NULL. ERR_AGAIN when the time is over.
 */
int shell_run(struct console *c, const char *command, unsigned timeout_ms, int *ret_status,
	char **ret_output, struct err *err);

/* As shell_run() for a command that must succeed: ERR_IO with its status and output otherwise. */
int shell_must(struct console *c, const char *command, unsigned timeout_ms, char **ret_output,
	struct err *err);

#endif
