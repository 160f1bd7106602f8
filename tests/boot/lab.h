/* SPDX-License-Identifier: MIT */
#ifndef LAB_H
#define LAB_H

/*
 * An isolated network with a server and a machine on it, for boot tests. The network namespace is
 * this process's own: the server and QEMU inherit it, and all of it is gone with the process.
 *
 *	        br0 10.77.0.1/24
 *	snowboot serve ──┘   └── tap ── the machine
 *
 * Logs (the console's transcript, the server's words) are kept in build/boot-logs/NAME.
 */

#include "base/err.h"
#include "base/vec.h"
#include "vm/vm.h"

#include <stdbool.h>
#include <stdint.h>

#define LAB_BRIDGE "br0"
#define LAB_HOST "10.77.0.1"

struct lab {
	char *dir;        /* where logs go */
	char *transcript; /* of the console */
	int tap_fd;
	int turn_fd;                /* the lock by which machines take turns */
	struct child *server, *web; /* the latter by cached_make() */
	bool hides_store;           /* from the server */
	struct vm *vm;
	uint64_t step_begun;
};

/* Makes the network. Skips the test where that cannot be: no right to, no tun device. */
int lab_open(struct lab *lab, const char *name, struct err *err);

/* A test program's cases, each in a lab of its own. */
struct lab_case {
	const char *name;
	int (*run)(struct lab *lab, struct err *err);
};
/* Its main function: runs the case that argv names, in the lab "PROGRAM-CASE". Returns the exit
 * status: 1 the case failed, 2 there is no such case. */
int lab_main(const char *program, const struct lab_case *cases, size_t len, int argc, char **argv);
void lab_done(struct lab *lab);
#define AUTO_LAB AUTO(lab_done) struct lab

/*
 * The system package of a fixture that fixtures/build has made (/var/lib/snowboot/fixtures/NAME,
 * or below $SNOWBOOT_FIXTURES); caller owns it. Skips the test when it is not there.
 */
char *lab_fixture(const char *name);

/* Runs `snowboot serve SYSTEM --dhcp full` on the bridge and waits until it serves. */
int lab_serve(struct lab *lab, const char *system, struct err *err);
/* The same with words of one's own: systems and options. */
int lab_serve_words(struct lab *lab, const struct strvec *words, struct err *err);
/* Kills the server, its DHCP and TFTP too, as if its plug were pulled. */
int lab_kill_server(struct lab *lab, struct err *err);
/* What the server has said so far; caller owns it. NULL on failure. */
char *lab_server_log(const struct lab *lab, struct err *err);
/* The memory that the server says a machine needs for the system: what the tests boot with. */
int lab_memory_needed(const struct lab *lab, unsigned *ret_mib, struct err *err);
/* Ends the server by SIGTERM: it must go with status 0. */
int lab_stop_server(struct lab *lab, struct err *err);

/*
 * Starts the machine with its first card (whatever else m->nics[0] says) on the bridge, when its
 * turn has come: one machine of all tests runs at a time. A kernel
 * panic or our stage 1's rescue prompt ends every wait on its console.
 */
int lab_start(struct lab *lab, const struct machine *m, struct err *err);
struct console *lab_console(struct lab *lab);

/* One machine of several. */
struct lab_client {
	char *transcript; /* DIR/console-NAME */
	int tap_fd;
	struct vm *vm;
	unsigned up_ms; /* that it took to come up: how busy the host is */
};
#define LAB_CLIENT_INIT \
	(struct lab_client) \
	{ \
		.tap_fd = -1 \
	}
/* As lab_start(), for any number of machines at once. */
int lab_client_start(struct lab *lab, const char *name, const struct machine *m,
	struct lab_client *ret, struct err *err);
/* Ends the machine if it still runs. */
void lab_client_done(struct lab_client *client);
#define AUTO_LAB_CLIENT AUTO(lab_client_done) struct lab_client

/* Runs a shell command here: its output, caller owns it. ERR_IO with the output unless it exits 0.
 */
int lab_run(const char *command, char **ret_output, struct err *err) __attribute__((nonnull(1, 2)));

/* Says on standard output that a step is over and how long it took since the last one. */
void lab_step(struct lab *lab, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
