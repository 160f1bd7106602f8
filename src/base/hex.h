/* SPDX-License-Identifier: MIT */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes 2 × size lower-case digits and a NUL to out. */
void hex_encode(const uint8_t *data, size_t size, char *out);
/* Reads exactly 2 × size digits of either case; false for anything else. */
bool hex_decode(const char *text, size_t text_len, uint8_t *data, size_t size);

#endif
