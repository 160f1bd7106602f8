/* SPDX-License-Identifier: MIT */
/* The spellings of a SHA-256 in Nix's files. */
#include "nix/hash_text.h"

#include "nix/nix32.h"

#include <nettle/base64.h>
#include <string.h>

enum { PREFIX_LEN = 7, BASE64_LEN = 44 };

static bool parse_base64(const char *text, size_t len, struct digest *ret)
{
	uint8_t room[BASE64_DECODE_LENGTH(BASE64_LEN)];
	struct base64_decode_ctx ctx;
	size_t got = sizeof(room);
	if (len != BASE64_LEN)
		return false;
	base64_decode_init(&ctx);
	if (!base64_decode_update(&ctx, &got, room, len, text) || !base64_decode_final(&ctx) ||
		got != DIGEST_SIZE)
		return false;
	memcpy(ret->bytes, room, DIGEST_SIZE);
	return true;
}

bool hash_text_parse(const char *text, size_t len, struct digest *ret)
{
	if (len > PREFIX_LEN && memcmp(text, "sha256-", PREFIX_LEN) == 0)
		return parse_base64(text + PREFIX_LEN, len - PREFIX_LEN, ret);
	if (len <= PREFIX_LEN || memcmp(text, "sha256:", PREFIX_LEN) != 0)
		return false;
	text += PREFIX_LEN;
	len -= PREFIX_LEN;
	return nix32_decode(text, len, ret->bytes, DIGEST_SIZE) || digest_from_hex(text, len, ret);
}

char *hash_text_format(const struct digest *digest, char out[HASH_TEXT_SIZE])
{
	memcpy(out, "sha256:", PREFIX_LEN);
	nix32_encode(digest->bytes, DIGEST_SIZE, out + PREFIX_LEN);
	return out;
}
