/* SPDX-License-Identifier: MIT */
#ifndef CARRIER_TRIM_H
#define CARRIER_TRIM_H

/* Leaves out of a kernel module what only debuggers, BPF and signature checks want. */

#include "base/buf.h"

/*
 * Appends the module without debug information (.debug_*, .BTF), unwind tables (.orc_*) and
 * signature, or unchanged when it is not a 64-bit little-endian module. What is loaded behaves the
 * same; stack traces through it are guessed. ERR_CORRUPT.
 */
int trim_module(const uint8_t *elf, size_t size, struct buf *out, struct err *err);

#endif
