/* SPDX-License-Identifier: MIT */
#ifndef SOURCE_DECOMPRESS_H
#define SOURCE_DECOMPRESS_H

/* NARs unpacked as they come: xz, zstd, bzip2 and gzip by libarchive's filters, brotli by its own
 * library. */

#include "nix/nar_reader.h"
#include "nix/narinfo.h"

struct decompressor;

/* `input`, which brings the packed bytes, is copied; what is behind it outlives this. */
int decompressor_new(enum nar_compression compression, const struct nar_input *input,
	struct decompressor **ret, struct err *err);
struct decompressor *decompressor_free(struct decompressor *d); /* NULL is fine; returns NULL */

/* The unpacked bytes. ERR_CORRUPT for what is damaged or breaks off, else as the input fails. At
 * the end, the input has been read to its end, too. */
struct nar_input decompressor_input(struct decompressor *d);

#endif
