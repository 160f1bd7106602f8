/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_SWAP_H
#define STAGE1_SWAP_H

#include "base/err.h"
#include "stage1/modules.h"
#include "stage1/swapspec.h"

/*
 * Enables what the list asks for. zram at once; disks as the kernel announces them, at most until
 * timeout_ms for what is named. What cannot be had is logged: a boot does not fail for want of
 * swap. `auto` takes the areas that are there by the end of that; with nothing named it waits for
 * none.
 */
void swap_enable(struct swap_list *list, int timeout_ms, struct modules *modules);

#endif
