/* SPDX-License-Identifier: MIT */
#ifndef CARRIER_PROGRAMS_H
#define CARRIER_PROGRAMS_H

/* The two static programs of an initramfs. `platform` is the system's, like "x86_64-linux"; NULL:
 * our own. */

#include "base/buf.h"

/*
 * Appends stage 1: $SNOWBOOT_STAGE1, else the one of the build tree this program runs from, else
 * the installed one; for another processor than ours in a folder of its architecture beside.
 * ERR_NOT_FOUND; ERR_UNSUPPORTED when it is not static, or not for that platform.
 */
int programs_stage1(const char *platform, struct buf *out, struct err *err);
/* Appends busybox: $SNOWBOOT_BUSYBOX, else /bin/busybox, or that of another processor beside its
 * stage 1. Fails likewise, with a hint. */
int programs_busybox(const char *platform, struct buf *out, struct err *err);

#endif
