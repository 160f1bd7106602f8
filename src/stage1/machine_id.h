/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_MACHINE_ID_H
#define STAGE1_MACHINE_ID_H

/*
 * Who this machine is, the same at every boot though it has no disk: machine-id(5). Of the kernel
 * command line's systemd.machine_id=, else of the firmware (SMBIOS System UUID, as systemd's
 * `systemd.machine_id=firmware`), else of a card's MAC.
 */

#include "base/err.h"
#include "stage1/cmdline.h"

#include <stdbool.h>
#include <stdint.h>

#define MACHINE_ID_SIZE 16

/* `sys` is "/sys" but for tests; `mac` may be zeros. ERR_NOT_FOUND when nothing names the machine.
 */
int machine_id_find(const char *sys, const struct cmdline *cmdline, const uint8_t mac[static 6],
	uint8_t ret[static MACHINE_ID_SIZE], struct err *err);
/* Reads 32 hexadecimal digits, or a UUID with its dashes; false for anything else, and for what
 * firmware has that was never set. */
bool machine_id_parse(const char *text, uint8_t ret[static MACHINE_ID_SIZE]);
/* Writes `root`/etc/machine-id unless the system has one. */
int machine_id_write(const char *root, const uint8_t id[static MACHINE_ID_SIZE], struct err *err);

#endif
