/* SPDX-License-Identifier: MIT */
#ifndef NETROOT_GUEST_H
#define NETROOT_GUEST_H

/* What is done with and asked of machines whose root is on the network. */

#include "guest.h"
#include "lab.h"

#include "vm/shell.h"

#include "test.h"

#define NETROOT_STALL_MAX_MS 5000 /* of a read while a node dies and another takes over */

#define NETROOT_NODE_PORT "8470"

/* A machine with nothing but one card. */
struct machine netroot_machine(const char *mac);
/* `short_ms`, or ten minutes in full length (SNOWBOOT_LONG=1): how long something is off. */
unsigned netroot_off_ms(unsigned short_ms);

/* Serves a network root; `append` is for the kernel command line, or NULL. Key and serials are the
 * lab's own and stay when it is called again after lab_kill_server(). */
int netroot_serve(struct lab *lab, const char *system, const char *append, struct err *err);
/* The same with words of one's own, and NULL behind the last. */
int netroot_serve_with(
	struct lab *lab, const char *system, const char *const *options, struct err *err);
/* Bytes of objects, chunks, manifests and profiles that the origin has sent; kernel and initramfs
 * not counted. */
int netroot_origin_bytes(struct lab *lab, long long *ret, struct err *err);
/* Bytes of kernels, initramfs and scripts that the origin has sent. */
int netroot_origin_boot_bytes(struct lab *lab, long long *ret, struct err *err);
/* Until the origin knows that a machine has all of its system. */
int netroot_await_complete(struct lab *lab, struct err *err);
/* Forgets what earlier boots touched; before the server starts. */
int netroot_forget_profiles(struct lab *lab, struct err *err);
/* Until the origin knows that a machine is up. */
int netroot_await_reported(struct lab *lab, struct err *err);
/* The same, and until it has kept what its boot touched. */
int netroot_await_up(struct lab *lab, struct err *err);
/* Of the reads of a machine that booted with a profile, at most one in twenty waited for the
 * network: by what it told the origin that it is up with. */
int netroot_check_misses(struct lab *lab, const struct machine *m, struct err *err);

int netroot_expect_kernel(struct lab_client *client, struct err *err);
/* The device is attached and the system's own init starts. */
int netroot_expect_stage2(struct lab_client *client, struct err *err);
/* Logs in and waits for `running`. */
int netroot_expect_running(struct lab_client *client, struct err *err);
/* From power-on to a shell in a system that is up. */
int netroot_boot(struct lab *lab, const char *name, const struct machine *m,
	struct lab_client *client, struct err *err);
/* The address that stage 1 showed: the node's own, or one that it shares with the machine. */
int netroot_address(struct lab_client *client, bool shared, char ret[64], struct err *err);
/* Lets time pass while its console is read. */
int netroot_wait(struct lab_client *client, unsigned ms, struct err *err);
/* It switches itself off, or would start again, soon and without a complaint. */
int netroot_poweroff(struct lab_client *client, struct err *err);
int netroot_reboot(struct lab_client *client, struct err *err);
/* It starts the kernel anew by itself, with the same command line, and comes to `running` again. */
int netroot_kexec(struct lab *lab, struct lab_client *client, const char *system, struct err *err);

/* The image's tables are in the kernel's memory: most reads of the image do not reach the node. */
int netroot_tables(struct console *c, struct err *err);
/* Supervisor and node run, named and guarded as they must be. */
int netroot_processes(struct console *c, struct err *err);
/* The kernel reports no I/O error, and no task that waited for more than two minutes. */
int netroot_clean_log(struct console *c, struct err *err);
/* The same after something was off for so long: where that was longer, tasks did wait. */
int netroot_log_after(struct console *c, unsigned off_ms, struct err *err);
/* How many reads of its cache's disk took so long that the network was asked instead: on a busy
 * host some do. */
int netroot_late_reads(struct console *c, long long *ret, struct err *err);
/* The log says which chunks nobody gave for a while, and that it is over. */
int netroot_told_of_waiting(struct console *c, struct err *err);
/*
 * Kills the node some times while the guest reads blocks and files: none fails, none changes.
 * *ret_stall_ms is the longest read.
 */
int netroot_kill_nodes(struct console *c, unsigned times, long long *ret_stall_ms, struct err *err);

/* A disk with one partition for the cache. */
int netroot_make_cache_disk(const char *path, struct err *err);
/* What the paths of `newer` that `older` has not weigh, as NARs, and what is around them. */
int netroot_difference(const char *older, const char *newer, long long *ret_bytes, struct err *err);

#endif
