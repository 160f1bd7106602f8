/* SPDX-License-Identifier: MIT */
/* SHA-256 by nettle, as a small value type. */
#include "base/digest.h"

#include "base/hex.h"

#include <string.h>

struct digest digest_finish(struct sha256_ctx *ctx)
{
	struct digest d;
	sha256_digest(ctx, sizeof(d.bytes), d.bytes);
	return d;
}

struct digest digest_of(const void *data, size_t size)
{
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	sha256_update(&ctx, size, data);
	return digest_finish(&ctx);
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return digest_compare(a, b) == 0;
}

int digest_compare(const struct digest *a, const struct digest *b)
{
	return memcmp(a->bytes, b->bytes, DIGEST_SIZE);
}

char *digest_hex(const struct digest *d, char out[DIGEST_HEX_SIZE])
{
	hex_encode(d->bytes, DIGEST_SIZE, out);
	return out;
}

bool digest_from_hex(const char *text, size_t len, struct digest *ret)
{
	return hex_decode(text, len, ret->bytes, DIGEST_SIZE);
}
