/* SPDX-License-Identifier: MIT */
#ifndef VM_CHILD_H
#define VM_CHILD_H

/*
 * A process that we run and that does not outlive us: the kernel kills it when the thread that
 * started it ends (PR_SET_PDEATHSIG). What it prints is kept in memory for error messages.
 */

#include "base/err.h"
#include "base/vec.h"

#include <sys/types.h>

struct child;

/*
 * Starts argv[0], looked up in PATH. Standard input is /dev/null, output and errors are kept.
 * The descriptors in `fds` stay open in the child under their numbers, all others that are not
 * close-on-exec do as well. Fails with ERR_NOT_FOUND when there is no such program.
 */
int child_start(const struct strvec *argv, const int *fds, size_t fd_count, struct child **ret,
	struct err *err);
/* Kills it if it still runs, waits for it and frees. Accepts NULL. */
void child_free(struct child *child);
void child_free_ptr(struct child **child);
#define AUTO_CHILD AUTO(child_free_ptr) struct child *

pid_t child_pid(const struct child *child);
/* Readable (poll) once the process has ended. Borrowed, lives as long as the child. */
int child_pidfd(const struct child *child);

/* Sends a signal; one to a process that has ended already is lost, which is no failure. */
int child_signal(struct child *child, int signal, struct err *err);

/*
 * Waits up to timeout_ms for the end: 0 and *ret_status as waitpid(2) gives it, or 1 when it is
 * still running.
 */
int child_wait(struct child *child, unsigned timeout_ms, int *ret_status, struct err *err);

/* "exited with status 1" or "was killed by signal 9 (Killed)"; caller owns it. */
char *child_status_text(int status, struct err *err);

/* The last max_bytes of what it has printed so far, as text without trailing newlines. */
int child_output(const struct child *child, size_t max_bytes, char **ret, struct err *err);

#endif
