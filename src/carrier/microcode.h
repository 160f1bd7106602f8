/* SPDX-License-Identifier: MIT */
#ifndef CARRIER_MICROCODE_H
#define CARRIER_MICROCODE_H

/*
 * The leading uncompressed cpio archives of a system's own initrd, from which the kernel takes
 * processor microcode and ACPI tables before it unpacks anything
 * (Documentation/arch/x86/microcode.rst, Linux 6.12).
 */

#include "base/err.h"

#include <stdint.h>

/*
 * The length of those archives at the start of the initrd open at `fd`, trailer and padding to 4
 * bytes included; 0 when they hold no microcode. `what` names the initrd in messages. ERR_CORRUPT
 * when an archive that has begun is not complete.
 */
int microcode_length(int fd, const char *what, uint64_t *ret_len, struct err *err);

#endif
