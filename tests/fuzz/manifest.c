/* SPDX-License-Identifier: MIT */
/* A manifest that decodes is encoded to the very bytes it was read from, and its check never
 * trusts what nobody signed. */
#include "target.h"

#include "manifest/manifest.h"

#include <string.h>

bool target_run(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	AUTO_MANIFEST manifest = {0};
	if (manifest_decode((const char *)data, size, &manifest, &err) < 0) {
		expect(err.kind == ERR_CORRUPT || err.kind == ERR_UNSUPPORTED);
		expect(err.msg[0] != '\0');
		return false;
	}
	AUTO_BUF text = {0};
	expect(manifest_encode(&manifest, &text, &err) == 0);
	expect(text.len == size && memcmp(text.data, data, size) == 0);
	uint8_t bytes[32] = {9};
	struct public_key key = {.name = (char *)(uintptr_t) "key-1"};
	memcpy(key.bytes, bytes, sizeof(bytes));
	const public_keys keys = {.items = &key, .len = 1};
	const struct manifest_trust trust = {.keys = &keys, .name = manifest.name};
	expect(manifest_check(&manifest, &trust, &err) < 0 && err.kind == ERR_UNTRUSTED);
	return true;
}
