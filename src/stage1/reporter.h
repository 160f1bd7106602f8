/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_REPORTER_H
#define STAGE1_REPORTER_H

/*
 * A system in memory has no node; this small process stays behind instead, until it has told the
 * server that the machine booted from that the system is up (/v1/up).
 */

#include "base/err.h"
#include "base/vec.h"
#include "stage1/cmdline.h"

#include <sys/types.h>

#define REPORTER_NAME "snowboot-reporter" /* no '@': a shutdown may end it */

/*
 * Starts it, listening at `run`/snowboot/notify ("/run"), if the command line names an origin: else
 * there is nobody to tell, and *ret_pid is 0. ERR_IO, ERR_NOMEM, ERR_USAGE for words that make no
 * sense.
 */
int reporter_start(const struct cmdline *cmdline, const char *run, pid_t *ret_pid, struct err *err);
/* For an attempt to boot that failed. 0: there is none. */
void reporter_stop(pid_t pid);

struct reporter_params {
	const struct strvec *urls; /* asked in turn until one says 200 */
	int mounts;                /* namespace whose root has the system's resolv.conf; -1: ours */
	unsigned pause_ms;         /* after a round in vain, doubled up to 32 times */
	unsigned patience_ms;      /* from when the system is up */
};
/*
 * Waits on `take_fd`, of node_bootend_listen(), until the system is up, then tells it. ERR_AGAIN
 * when nobody took it in time; ERR_IO, ERR_NOMEM.
 */
int reporter_run(const struct reporter_params *params, int take_fd, struct err *err);

/* main() under REPORTER_NAME. */
int reporter_main(void);

#endif
