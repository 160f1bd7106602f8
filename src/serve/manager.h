/* SPDX-License-Identifier: MIT */
#ifndef SERVE_MANAGER_H
#define SERVE_MANAGER_H

/*
 * The service manager that may have started us: sd_listen_fds(3), sd_notify(3). Spoken directly,
 * since both are a few lines that are promised to stay.
 */

#include "base/err.h"

/*
 * The socket that the manager listens on for us, in *ret_fd, close-on-exec: 1; 0 when there is
 * none. ERR_USAGE when there are several, or it is no listening stream socket. The environment is
 * cleared of it, for our children.
 */
int manager_socket(int *ret_fd, struct err *err);

/* Tells the manager, if there is one: "READY=1". Failures are nobody's: it gives up by itself. */
void manager_tell(const char *state);
/* That a reload begins: "RELOADING=1" with the time, which Type=notify-reload asks for. */
void manager_tell_reloading(void);

#endif
