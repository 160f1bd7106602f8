/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_SUPERVISOR_H
#define STAGE1_SUPERVISOR_H

/*
 * The process that owns the network block device: it starts the node, hands the kernel and the node
 * the two ends of a socket, and when the node dies starts another and does that again, so that a
 * read waits instead of failing. docs/internals/netroot-processes.md.
 */

#include "base/err.h"
#include "stage1/control.h"

#include <sys/types.h>

/* The program is one file under several names: its main() looks at argv[0]. */
#define SUPERVISOR_NAME "@snowboot-supervisor"
#define NODE_NAME "@snowboot-node"

/* Descriptors that both programs find open. */
#define SUPERVISOR_CONTROL_FD 3 /* to who started it */
#define SUPERVISOR_CONFIG_FD 4  /* the node's configuration, a file to be read with pread() */
/* Of the node only: the network namespace of all nodes (net/net.h), which outlives each; not open
 * where none can be made. */
#define SUPERVISOR_NAMESPACE_FD 5

#define SUPERVISOR_DEVICE "/dev/nbd0"

/* For stage 1. */
struct supervisor {
	pid_t pid;
	int control;
};
#define SUPERVISOR_INIT \
	(struct supervisor) \
	{ \
		.pid = -1, .control = -1 \
	}

enum supervisor_event_kind {
	SUPERVISOR_PROGRESS, /* text: what the node does */
	SUPERVISOR_ADDRESS,  /* text: "IP/LEN ROUTER…" that the node got */
	SUPERVISOR_FAILED,   /* failure: nothing that waiting mends */
	SUPERVISOR_ATTACHED, /* SUPERVISOR_DEVICE can be read */
};

struct supervisor_event {
	enum supervisor_event_kind kind;
	char text[CONTROL_MAX];
	struct err failure;
};

/*
 * Starts it; nbd must be loaded (nbds_max=1). config_fd (stays the caller's) is a memfd: the
 * initramfs is gone when the node is started again. ERR_IO.
 */
int supervisor_start(int config_fd, struct supervisor *ret, struct err *err);
/* What it says next: 1; 0 when the time is over; -1 with ERR_NOT_FOUND when it died. */
int supervisor_next(struct supervisor *supervisor, int timeout_ms, struct supervisor_event *ret,
	struct err *err);
/* Ends node and supervisor and detaches the device; nothing may be mounted from it any more. */
void supervisor_stop(struct supervisor *supervisor);

/* main() under SUPERVISOR_NAME. */
int supervisor_main(void);

#endif
