/* SPDX-License-Identifier: MIT */
#ifndef CARRIER_PROGRAMS_H
#define CARRIER_PROGRAMS_H

/* The two static programs of an initramfs. */

#include "base/buf.h"

/*
 * Appends stage 1: $SNOWBOOT_STAGE1, else the one of the build tree this program runs from, else
 * the installed one. ERR_NOT_FOUND; ERR_UNSUPPORTED when it is not static.
 */
int programs_stage1(struct buf *out, struct err *err);
/* Appends busybox: $SNOWBOOT_BUSYBOX, else /bin/busybox. Fails likewise, with a hint. */
int programs_busybox(struct buf *out, struct err *err);

#endif
