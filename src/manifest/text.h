/* SPDX-License-Identifier: MIT */
#ifndef MANIFEST_TEXT_H
#define MANIFEST_TEXT_H

/* What the writer and the reader of a manifest's text agree on. docs/formats/manifest.md. */

#include "manifest/manifest.h"

#define MANIFEST_TEXT_MAGIC "snowboot-manifest"
#define MANIFEST_TEXT_FIRST_LINE MANIFEST_TEXT_MAGIC " 1"
#define MANIFEST_SIGNATURES_MAX 8
#define MANIFEST_TIME_MAX ((int64_t)253402300799) /* the last second of the year 9999 */

/* Appends everything that is signed. */
int manifest_encode_body(const struct manifest *manifest, struct buf *out, struct err *err);

#endif
