/* SPDX-License-Identifier: MIT */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

/* SHA-256 as a value that can be compared, printed and used as a name. */

#include <nettle/sha2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 32
#define DIGEST_HEX_SIZE 65 /* with the NUL */

struct digest {
	uint8_t bytes[DIGEST_SIZE];
};

/* Use nettle's sha256_init() and sha256_update(); this ends the computation. */
struct digest digest_finish(struct sha256_ctx *ctx);
struct digest digest_of(const void *data, size_t size);
bool digest_equal(const struct digest *a, const struct digest *b);
/* Like memcmp(). */
int digest_compare(const struct digest *a, const struct digest *b);
/* Writes 64 digits and a NUL, and returns `out`. */
char *digest_hex(const struct digest *d, char out[DIGEST_HEX_SIZE]);
/* Reads 64 digits; false for anything else. */
bool digest_from_hex(const char *text, size_t len, struct digest *ret);

#endif
