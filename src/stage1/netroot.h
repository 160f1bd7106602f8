/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_NETROOT_H
#define STAGE1_NETROOT_H

/*
 * The network root, as stage 1 sees it: a supervisor with a node that makes /dev/nbd0 readable and
 * puts plan and database below /run/snowboot. docs/internals/network-root.md.
 */

#include "base/err.h"
#include "net/net.h"
#include "plan/plan.h"
#include "stage1/cmdline.h"
#include "stage1/hardware.h"
#include "stage1/machine_id.h"
#include "stage1/modules.h"
#include "stage1/supervisor.h"
#include "stage1/timeline.h"

#define NETROOT_PLAN "/run/snowboot/plan" /* written by the node */

struct netroot {
	struct supervisor supervisor;
	uint8_t machine_id[MACHINE_ID_SIZE];
	enum net_mode mode; /* what the node got its address by */
	char link[IFNAMSIZ];
	bool keep_node; /* --root ram: it goes on sharing */
};

#define NETROOT_INIT \
	(struct netroot) \
	{ \
		.supervisor = SUPERVISOR_INIT \
	}

/* Whether this initramfs is that of a network root. */
bool netroot_is_wanted(void);
/* Loads what ways onto a network need beside drivers, as far as it is there. */
void netroot_load_network(const struct cmdline *cmdline, struct modules *modules);
/* snowboot.root=ram: all of the image is to be in memory before the system starts. */
bool netroot_wants_copy(const struct cmdline *cmdline);

/* What attaching needs of the rest of stage 1; borrowed. */
struct netroot_env {
	const struct cmdline *cmdline;
	struct modules *modules;
	const struct hardware *hardware;
	struct timeline *timeline;
};

/*
 * Attaches: loads modules, starts the supervisor, and shows on the consoles what it does until the
 * device can be read. It waits for network and origin as long as it takes; fails with what the node
 * says cannot be mended by waiting.
 */
int netroot_attach(const struct netroot_env *env, struct netroot *ret, struct err *err);
/*
 * snowboot.root=ram: copies the image into a tmpfs of its size, after which *ret_file (the caller
 * owns it) is the image, and the node ends unless it is to share. The device and the node are
 * gone on from where they were when a node died, so nothing has to be fetched twice.
 */
int netroot_copy(const struct netroot_env *env, struct netroot *netroot, uint64_t size,
	char **ret_file, struct err *err);
/* Whether the node goes on when the system starts. */
bool netroot_runs(const struct netroot *netroot);
/* After everything that was mounted from it is not any more: detaches. */
void netroot_stop(struct netroot *netroot);

/*
 * Before the system's activation: machine-id, and for a shared link what stage 2's services read
 * from /run. Nothing of it is fatal.
 */
void netroot_prepare_system(
	const struct netroot *netroot, const char *root, const struct plan *plan);
/* After it: the machine-id once more, for a system whose /etc appeared only then. */
void netroot_finish_system(const struct netroot *netroot, const char *root);

#endif
