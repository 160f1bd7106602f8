/* SPDX-License-Identifier: MIT */
/* A manifest that decodes is encoded to the very bytes it was read from, and its check never
 * trusts what nobody signed; what is signed is trusted as long as it is valid. */
#include "target.h"

#include "manifest/manifest.h"

#include <string.h>

/* Signing is slow, so not all are. */
static void check_signed(struct manifest *manifest)
{
	struct err err = ERR_INIT;
	AUTO(secret_key_done) struct secret_key secret = {0};
	struct public_key key = {0};
	/* RFC 8032, section 7.1, test 1 */
	expect(secret_key_parse("key-2:nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/"
				"tPJZAc6DuFy89qmIyWvAhpo9wdRGg==",
		       &secret, &err) == 0);
	expect(secret_key_public(&secret, &key, &err) == 0);
	const public_keys keys = {.items = &key, .len = 1};
	struct manifest_trust trust = {
		.keys = &keys, .name = manifest->name, .now = manifest->expires};
	if (manifest_sign(manifest, &secret, &err) == 0) {
		expect(manifest_check(manifest, &trust, &err) == 0);
		trust.now++;
		expect(manifest_check(manifest, &trust, &err) < 0 && err.kind == ERR_UNTRUSTED);
		err_reset(&err);
		manifest->serial++;
		expect(manifest_check(manifest, &trust, &err) < 0);
	}
	public_key_done(&key);
}

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
	if (manifest.serial % 16 == 3)
		check_signed(&manifest);
	return true;
}
