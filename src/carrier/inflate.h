/* SPDX-License-Identifier: MIT */
#ifndef CARRIER_INFLATE_H
#define CARRIER_INFLATE_H

/* Undoes the compression that kernel modules and firmware files come in, told by their first bytes.
 */

#include "base/buf.h"

/*
 * Appends the contents of gzip, xz or zstd data, or the data themselves when they are none of
 * these. ERR_CORRUPT for damaged or cut off data, ERR_LIMIT beyond max_bytes.
 */
int inflate_bytes(
	const uint8_t *data, size_t size, size_t max_bytes, struct buf *out, struct err *err);

#endif
