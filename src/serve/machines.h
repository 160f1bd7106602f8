/* SPDX-License-Identifier: MIT */
#ifndef SERVE_MACHINES_H
#define SERVE_MACHINES_H

/*
 * The machines that an origin has seen and how far each is: steps that we see ourselves (DHCP,
 * TFTP, script, kernel, initrd) and those that its node tells. A model without I/O; the clock is
 * handed in (CLOCK_BOOTTIME, microseconds).
 */

#include "base/vec.h"
#include "rules/identity.h"
#include "swarm/message.h"

#include <sys/queue.h>

/* A boot that is heard of no more for this long, and did not come to its end, is silent. */
#define MACHINE_SILENT_US ((uint64_t)600 * 1000000)

#define MACHINES_MAX 4096    /* the one not heard of for longest makes place */
#define MACHINE_STEPS_MAX 64 /* of one boot */
#define MACHINE_SAMPLES_MAX 512

enum machine_source { SOURCE_MEMORY, SOURCE_DISK, SOURCE_PEER, SOURCE_ORIGIN, SOURCES };

/* A step of a boot; one that only has a moment ends when it began. */
struct machine_step {
	char name[32];
	uint64_t began_us, ended_us;
	uint64_t bytes; /* 0: none, or unknown */
};

/* What readers on a machine had got by then, bytes. */
struct machine_sample {
	uint64_t at_us;
	uint64_t bytes[SOURCES];
};

struct machine {
	TAILQ_ENTRY(machine) entry;
	char address[64];    /* that it booted from, or its node's; "" unknown */
	char mac[18];        /* "" unknown */
	char lease[64];      /* the address that our DHCP gave it, "" none */
	char *system;        /* toplevel's file name, or NULL */
	char *failure;       /* why it was given nothing to boot, or why it is not up, or NULL */
	struct identity who; /* as its boot loader said */
	/* Of its node: */
	bool has_id, linked;
	const void *owner; /* the link that it joined by last: the caller's; NULL when it left */
	struct member member;
	uint64_t serial;
	uint64_t counters[LINK_COUNTERS];
	/* Of the present boot: */
	uint64_t began_us, seen_us;
	uint64_t moved_us; /* its last step, or its link's end */
	uint64_t dhcp_us;  /* a DHCP exchange that may begin a boot; 0: none */
	char step[32];
	unsigned percent;
	struct machine_step steps[MACHINE_STEPS_MAX];
	size_t step_count;
	struct machine_sample samples[MACHINE_SAMPLES_MAX];
	size_t sample_count;
	unsigned boots;
};

TAILQ_HEAD(machine_list, machine);
struct machines {
	struct machine_list list; /* the one heard of last first */
	size_t len;
};

void machines_init(struct machines *machines);
void machines_done(struct machines *machines);

/* By hardware address or address, either may be NULL or ""; made when there is none. NULL: no
 * memory. */
struct machine *machines_get(
	struct machines *machines, const char *mac, const char *address, uint64_t now_us);
/* Our DHCP gave the machine that address, and so to nobody else. */
void machines_lease(struct machines *machines, struct machine *machine, const char *address);
/* Who has that lease; NULL: nobody. */
const struct machine *machines_leased(const struct machines *machines, const char *address);
/* "10.0.0.7", a hardware address, or the hexadecimal id of a node; NULL: unknown. */
struct machine *machines_find(struct machines *machines, const char *text, size_t len);

/*
 * A step that we saw as it ended: `elapsed_us` ago it began. DHCP counts as the begin of a boot
 * only when a boot loader's step follows: running systems renew their leases.
 */
struct machine_event {
	const char *step; /* "dhcp", "tftp", "script", "kernel", "initrd", "uki" */
	bool boot_loader; /* only a boot loader does this */
	uint64_t bytes, elapsed_us;
};
void machine_saw(struct machine *machine, const struct machine_event *event, uint64_t now_us);
/* A transfer of such a step runs. */
void machine_transfers(struct machine *machine, const char *step, unsigned percent);
/* It was told why it boots nothing. Its next step ends that. */
void machine_fails(struct machine *machine, const char *why);
/* Its stage 1 gave up: a step of its own. Its next step ends that. */
void machine_gave_up(struct machine *machine, const char *why, uint64_t now_us);
/* Its boot has begun, is not over, and nothing was heard of it for MACHINE_SILENT_US. */
bool machine_is_overdue(const struct machine *machine, uint64_t now_us);
/* "silent" is its step until the next one. */
void machine_falls_silent(struct machine *machine);
void machine_set_system(struct machine *machine, const char *name);

/* What a node says of itself when it joins. */
struct machine_join {
	struct member member;
	uint8_t mac[6];     /* of the card that its machine booted by; zeros: unknown */
	const char *system; /* store path, "" unknown */
	uint64_t serial;
};

/*
 * A node joined: finds its machine by that card or by id, else by address, else as the only one
 * that took an initrd of that system in the last two minutes and was not heard of since (a node may
 * have another address than its boot loader).
 */
struct machine *machines_join(
	struct machines *machines, const struct machine_join *join, uint64_t now_us);
/* True when the step is another one than before. The message is a heartbeat. */
bool machine_beats(struct machine *machine, const struct message *heartbeat, uint64_t now_us);
void machine_leaves(struct machine *machine, uint64_t now_us);

/* Bytes a second that its readers got lately. */
uint64_t machine_rate(const struct machine *machine, uint64_t now_us);

#endif
