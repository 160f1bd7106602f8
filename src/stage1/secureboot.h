/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_SECUREBOOT_H
#define STAGE1_SECUREBOOT_H

#include "stage1/modules.h"

#include <stdbool.h>

/*
 * True when the firmware enforces Secure Boot, and also when this cannot be told on a machine with
 * EFI: a doubt must not open a shell. False without EFI.
 */
bool secureboot_enforced(struct modules *modules);

#endif
