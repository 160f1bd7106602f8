/* SPDX-License-Identifier: MIT */
/*
 * Reads a manifest's text. Lines stand in one order and have one spelling, so that the text which
 * was signed can be made again from what was read. Nothing here is believed before
 * manifest_check().
 */
#include "manifest/text.h"

#include <string.h>

struct reader {
	const char *rest, *end;
	size_t line; /* number of the line that is being read, from 1 */
};

/* A part of a line, not terminated. */
struct span {
	const char *at;
	size_t len;
};

static int bad_line(const struct reader *r, const char *what, struct err *err)
{
	return err_raise(err, ERR_CORRUPT, "manifest: line %zu %s", r->line, what);
}

static int next_line(struct reader *r, struct span *ret, struct err *err)
{
	r->line++;
	const char *brk = memchr(r->rest, '\n', (size_t)(r->end - r->rest));
	if (brk == NULL)
		return bad_line(r, "is cut off", err);
	*ret = (struct span){r->rest, (size_t)(brk - r->rest)};
	r->rest = brk + 1;
	return 0;
}

/* True when the line is `key`, one blank, and a value; *ret is that value. */
static bool has_key(struct span line, const char *key, struct span *ret)
{
	size_t len = strlen(key);
	if (line.len < len + 2 || memcmp(line.at, key, len) != 0 || line.at[len] != ' ')
		return false;
	*ret = (struct span){line.at + len + 1, line.len - len - 1};
	return true;
}

static int next_value(struct reader *r, const char *key, struct span *ret, struct err *err)
{
	struct span line;
	if (next_line(r, &line, err) < 0)
		return -1;
	if (has_key(line, key, ret))
		return 0;
	return err_raise(
		err, ERR_CORRUPT, "manifest: line %zu is not '%s' with a value", r->line, key);
}

/* Copies a value without control characters, which a terminal or a file name would obey. */
static int next_string(struct reader *r, const char *key, char **ret, struct err *err)
{
	struct span value;
	if (next_value(r, key, &value, err) < 0)
		return -1;
	for (size_t i = 0; i < value.len; i++)
		if ((unsigned char)value.at[i] < ' ' || value.at[i] == 0x7f)
			return bad_line(r, "has a control character", err);
	*ret = strndup(value.at, value.len);
	return *ret != NULL ? 0 : err_oom(err);
}

/* Decimal without a sign or leading zeros, at most `max`. */
static bool read_number(struct span s, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;
	if (s.len == 0 || (s.len > 1 && s.at[0] == '0'))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] < '0' || s.at[i] > '9')
			return false;
		if (!mem_mul(v, 10, &v) || !mem_add(v, (uint64_t)(s.at[i] - '0'), &v))
			return false;
	}
	*ret = v;
	return v <= max;
}

static int next_number(
	struct reader *r, const char *key, uint64_t max, uint64_t *ret, struct err *err)
{
	struct span value;
	if (next_value(r, key, &value, err) < 0)
		return -1;
	return read_number(value, max, ret) ? 0 : bad_line(r, "has no valid number", err);
}

static int next_time(struct reader *r, const char *key, int64_t *ret, struct err *err)
{
	uint64_t v;
	if (next_number(r, key, MANIFEST_TIME_MAX, &v, err) < 0)
		return -1;
	*ret = (int64_t)v;
	return 0;
}

static bool read_digest(struct span s, struct digest *ret)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.at[i] >= 'A' && s.at[i] <= 'F')
			return false; /* one spelling */
	return digest_from_hex(s.at, s.len, ret);
}

static int read_first_line(struct reader *r, struct err *err)
{
	struct span line, version;
	if (next_line(r, &line, err) < 0)
		return -1;
	if (line.len == strlen(MANIFEST_TEXT_FIRST_LINE) &&
		memcmp(line.at, MANIFEST_TEXT_FIRST_LINE, line.len) == 0)
		return 0;
	if (has_key(line, MANIFEST_TEXT_MAGIC, &version) && version.len <= 20)
		return err_raise(err, ERR_UNSUPPORTED,
			"manifest: version '%.*s' is not one that this program knows (1)",
			(int)version.len, version.at);
	return err_raise(
		err, ERR_CORRUPT, "manifest: does not begin with '" MANIFEST_TEXT_FIRST_LINE "'");
}

static int read_catalog(struct reader *r, struct blob *catalog, struct err *err)
{
	struct span value;
	if (next_value(r, "catalog", &value, err) < 0)
		return -1;
	const char *blank = memchr(value.at, ' ', value.len);
	size_t len = blank != NULL ? (size_t)(blank - value.at) : value.len;
	struct span size = {value.at + len + 1, blank != NULL ? value.len - len - 1 : 0};
	if (!read_digest((struct span){value.at, len}, &catalog->digest) ||
		!read_number(size, MANIFEST_CATALOG_MAX, &catalog->size) || catalog->size == 0)
		return bad_line(r, "is not a valid catalog", err);
	uint64_t count = (catalog->size + PIECE_SIZE - 1) / PIECE_SIZE;
	if (count == 1)
		return vec_push(&catalog->pieces, catalog->digest, err);
	for (uint64_t i = 0; i < count; i++) {
		struct digest piece;
		if (next_value(r, "piece", &value, err) < 0)
			return -1;
		if (!read_digest(value, &piece))
			return bad_line(r, "is not a valid piece", err);
		if (vec_push(&catalog->pieces, piece, err) < 0)
			return -1;
	}
	return 0;
}

static int read_body(struct reader *r, struct manifest *manifest, struct err *err)
{
	if (read_first_line(r, err) < 0 || next_string(r, "name", &manifest->name, err) < 0)
		return -1;
	if (!manifest_name_valid(manifest->name))
		return bad_line(r, "has no valid name", err);
	if (next_string(r, "system", &manifest->system, err) < 0)
		return -1;
	if (manifest->system[0] != '/')
		return bad_line(r, "has a path that is not absolute", err);
	if (next_number(r, "serial", UINT64_MAX, &manifest->serial, err) < 0)
		return -1;
	if (manifest->serial == 0)
		return bad_line(r, "has no valid number", err);
	if (next_time(r, "issued", &manifest->issued, err) < 0 ||
		next_time(r, "expires", &manifest->expires, err) < 0)
		return -1;
	if (manifest->expires < manifest->issued)
		return bad_line(r, "is before the time of issue", err);
	if (next_string(r, "cmdline", &manifest->cmdline, err) < 0)
		return -1;
	return read_catalog(r, &manifest->catalog, err);
}

static int read_signature(struct reader *r, struct manifest *manifest, struct err *err)
{
	AUTO_FREE char *text = NULL;
	AUTO(signature_done) struct signature signature = {0};
	if (next_string(r, "signature", &text, err) < 0)
		return -1;
	/* A key is read with blanks around it; a manifest has none. */
	if (text[0] == ' ' || text[strlen(text) - 1] == ' ')
		return bad_line(r, "is not a valid signature", err);
	if (signature_parse(text, &signature, err) < 0)
		return err_prefix(err, "manifest: line %zu", r->line);
	if (manifest->signatures.len >= MANIFEST_SIGNATURES_MAX)
		return err_raise(err, ERR_CORRUPT, "manifest: more than %d signatures",
			MANIFEST_SIGNATURES_MAX);
	if (vec_push(&manifest->signatures, signature, err) < 0)
		return -1;
	signature = (struct signature){0};
	return 0;
}

int manifest_decode(const char *text, size_t len, struct manifest *ret, struct err *err)
{
	if (len > MANIFEST_MAX)
		return err_raise(
			err, ERR_CORRUPT, "manifest: %zu bytes > max %zu", len, MANIFEST_MAX);
	AUTO_MANIFEST manifest = {0};
	struct reader r = {.rest = text, .end = text + len};
	if (read_body(&r, &manifest, err) < 0)
		return -1;
	while (r.rest != r.end)
		if (read_signature(&r, &manifest, err) < 0)
			return -1;
	*ret = manifest;
	manifest = (struct manifest){0};
	return 0;
}
