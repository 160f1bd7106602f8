/* SPDX-License-Identifier: MIT */
#ifndef GUEST_H
#define GUEST_H

/*
 * What must be true inside a booted fixture. Each check runs in the shell of `c` and fails with a
 * message that says what was found instead. `system` is the system package on the host, whose
 * store the guest is held against.
 */

#include "base/err.h"
#include "vm/console.h"

/* Waits until systemd says "running"; names the failed units otherwise. */
int guest_is_running(struct console *c, struct err *err);
/* No job or device was waited for in vain: systemd reports no timeout. */
int guest_waited_for_nothing(struct console *c, struct err *err);
/* The system's kernel parameters stand verbatim, init= stands once and names it. */
int guest_command_line(struct console *c, const char *system, struct err *err);
/* The closure of /run/current-system is the host's, path for path. */
int guest_closure(struct console *c, const char *system, struct err *err);
/* Names, types, modes, owners, times, sizes and link targets of every path are the host's. */
int guest_metadata(struct console *c, const char *system, struct err *err);
/* The database has the host's hashes, and Nix finds that every path's content has its hash. */
int guest_content(struct console *c, const char *system, struct err *err);
/* Nix finds that every path's content has the hash of the guest's own database. */
int guest_verify(struct console *c, struct err *err);
/* Nix builds in its sandbox. */
int guest_builds(struct console *c, struct err *err);
/* nginx answers the host over the network with the fixture's page. */
int guest_serves(struct console *c, const char *system, struct err *err);
/* The image is in RAM once: what cannot be dropped from the page cache is hardly more. */
int guest_memory(struct console *c, struct err *err);
/* Stage 1 left its account of what it did for this system; its time is printed. */
int guest_stage1_report(struct console *c, const char *system, struct err *err);

#endif
