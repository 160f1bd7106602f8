/* SPDX-License-Identifier: MIT */
#ifndef CARRIER_FIRMWARE_H
#define CARRIER_FIRMWARE_H

/* Firmware files of a system, as the kernel's loader looks for them below lib/firmware/. */

#include "base/buf.h"

/*
 * Appends the file `name` ("rtl_nic/rtl8168e-1.fw") of the firmware directory `dir` below `root`
 * (in_root.h): 1, or 0 when there is none (drivers name files that they can do without). It may be
 * stored as it is, with ".zst" or with ".xz"; the result is never compressed, since kernels without
 * CONFIG_FW_LOADER_COMPRESS know no other form. ERR_CORRUPT, ERR_LIMIT.
 */
int firmware_read(int root, const char *dir, const char *name, struct buf *out, struct err *err);

#endif
