/* SPDX-License-Identifier: MIT */
/*
 * The manifest as a value, and its text. What is signed is the text before the first signature, so
 * the text of a manifest is canonical: decode.c takes exactly what this writes.
 */
#include "manifest/manifest.h"

#include "manifest/text.h"

#include <inttypes.h>
#include <string.h>

void manifest_done(struct manifest *manifest)
{
	free(manifest->name);
	free(manifest->system);
	free(manifest->cmdline);
	blob_done(&manifest->catalog);
	VEC_FOREACH(signature, &manifest->signatures)
		signature_done(signature);
	vec_done(&manifest->signatures);
	*manifest = (struct manifest){0};
}

bool manifest_name_valid(const char *name)
{
	static const char allowed[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz+-._=?";
	size_t len = strlen(name);
	return len > 0 && len <= MANIFEST_NAME_MAX && name[0] != '.' &&
		strspn(name, allowed) == len;
}

static int check_line(const char *key, const char *value, struct err *err)
{
	if (value == NULL || value[0] == '\0' || strpbrk(value, "\n\r") != NULL)
		return err_raise(
			err, ERR_UNSUPPORTED, "manifest: '%s' is empty or has a line break", key);
	return 0;
}

static int put_catalog(const struct blob *catalog, struct buf *out, struct err *err)
{
	char hex[DIGEST_HEX_SIZE];
	if (buf_printf(out, err, "catalog %s %" PRIu64 "\n", digest_hex(&catalog->digest, hex),
		    catalog->size) < 0)
		return -1;
	if (catalog->pieces.len < 2)
		return 0;
	VEC_FOREACH(piece, &catalog->pieces)
		if (buf_printf(out, err, "piece %s\n", digest_hex(piece, hex)) < 0)
			return -1;
	return 0;
}

int manifest_encode_body(const struct manifest *manifest, struct buf *out, struct err *err)
{
	if (manifest->name == NULL || !manifest_name_valid(manifest->name))
		return err_raise(err, ERR_USAGE, "'%s' cannot be the name of a manifest",
			manifest->name != NULL ? manifest->name : "");
	if (manifest->serial == 0 || manifest->catalog.size == 0)
		return err_raise(err, ERR_BUG, "manifest without a serial or a catalog");
	if (manifest->issued < 0 || manifest->expires < manifest->issued ||
		manifest->expires > MANIFEST_TIME_MAX)
		return err_raise(err, ERR_USAGE,
			"a manifest cannot be issued at %" PRId64 " and expire at %" PRId64,
			manifest->issued, manifest->expires);
	if (check_line("system", manifest->system, err) < 0 ||
		check_line("cmdline", manifest->cmdline, err) < 0)
		return -1;
	if (buf_printf(out, err,
		    MANIFEST_TEXT_FIRST_LINE "\nname %s\nsystem %s\nserial %" PRIu64
					     "\nissued %" PRId64 "\nexpires %" PRId64
					     "\ncmdline %s\n",
		    manifest->name, manifest->system, manifest->serial, manifest->issued,
		    manifest->expires, manifest->cmdline) < 0)
		return -1;
	return put_catalog(&manifest->catalog, out, err);
}

int manifest_encode(const struct manifest *manifest, struct buf *out, struct err *err)
{
	AUTO_BUF text = {.max = MANIFEST_MAX};
	if (manifest_encode_body(manifest, &text, err) < 0)
		return -1;
	VEC_FOREACH(signature, &manifest->signatures) {
		AUTO_FREE char *line = signature_format(signature, err);
		if (line == NULL || buf_printf(&text, err, "signature %s\n", line) < 0)
			return -1;
	}
	return buf_put(out, text.data, text.len, err);
}

int manifest_sign(struct manifest *manifest, const struct secret_key *key, struct err *err)
{
	if (manifest->signatures.len >= MANIFEST_SIGNATURES_MAX)
		return err_raise(err, ERR_LIMIT, "a manifest has at most %d signatures",
			MANIFEST_SIGNATURES_MAX);
	AUTO_BUF body = {0};
	AUTO(signature_done) struct signature signature = {0};
	if (manifest_encode_body(manifest, &body, err) < 0 ||
		key_sign(key, body.data, body.len, &signature, err) < 0 ||
		vec_push(&manifest->signatures, signature, err) < 0)
		return -1;
	signature = (struct signature){0};
	return 0;
}
