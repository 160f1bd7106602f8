/* SPDX-License-Identifier: MIT */
#ifndef NIX_HASH_TEXT_H
#define NIX_HASH_TEXT_H

/* SHA-256 hashes as Nix writes them: "sha256:" and base 32 or base 16, or "sha256-" and base64
 * (Nix, src/libutil/hash.cc). */

#include "base/digest.h"

#define HASH_TEXT_SIZE 60 /* "sha256:", 52 digits and a NUL */

/* False for anything else, other algorithms included. */
bool hash_text_parse(const char *text, size_t len, struct digest *ret);
/* Writes "sha256:" and base 32, and returns `out`. */
char *hash_text_format(const struct digest *digest, char out[HASH_TEXT_SIZE]);

#endif
