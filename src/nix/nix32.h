/* SPDX-License-Identifier: MIT */
#ifndef NIX_NIX32_H
#define NIX_NIX32_H

/*
 * Nix's own base 32: the alphabet 0123456789abcdfghijklmnpqrsvwxyz (no e, o, u, t), the most
 * significant digit of the little-endian number first (Nix, src/libutil/hash.cc).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Digits of `size` bytes: 52 for SHA-256, 32 for a store path's 20 bytes. */
static inline size_t nix32_len(size_t size)
{
	return (size * 8 + 4) / 5;
}

/* Writes nix32_len(size) digits and a NUL to out. */
void nix32_encode(const uint8_t *data, size_t size, char *out);
/* Reads exactly nix32_len(size) digits; false for anything else, also for bits beyond `size`. */
bool nix32_decode(const char *text, size_t text_len, uint8_t *data, size_t size);
/* True for a digit of the alphabet. */
bool nix32_is_digit(char c);

#endif
