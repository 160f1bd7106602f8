/* SPDX-License-Identifier: MIT */
#ifndef FAULT_H
#define FAULT_H

/*
 * Lets one call fail, once. Allocations are counted that our own code makes (the linker's --wrap
 * leads them here; libraries keep theirs); writes, syncs and renames are counted whoever makes
 * them, SQLite too. All threads count together. Link with fault_dep.
 */

#include <stdbool.h>

enum fault {
	FAULT_ALLOCATION, /* NULL and ENOMEM */
	FAULT_OUTPUT,     /* EIO; a write has put half of it down by then */
	FAULT_SPACE,      /* ENOSPC, where a full disk gives it: not in a rename */
};

/* The call number `at` from now on, counted from 0, fails. */
void fault_arm(enum fault fault, unsigned at);
/* True when it came to that. No more faults. */
bool fault_disarm(void);

#endif
